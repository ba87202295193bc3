"""Corpora: what each one needs to become manifests, and the manifests themselves."""
