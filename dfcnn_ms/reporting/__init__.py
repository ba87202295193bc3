"""Pictures and pages about what a network hears; this room never imports MindSpore."""
