"""A server that recognises: HTTP and WebSockets around recognizers, for clients that exist already.

    request ── limits, access ── forms, sounds ──> features ── Engine ──> Transcript ── openai, own ──> answer
    WebSocket ── access ── realtime, pcm ──> samples ── Engine ──> StreamResult ── realtime ──> events

Each word is a file; `app.py` holds the routes and nothing else, and `server.py` runs it. FastAPI, uvicorn and their
like come with ``pip install 'dfcnn-ms[serve]'``.
"""
