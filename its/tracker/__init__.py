"""Who else is told what a run leaves on disk. A tracker reads files; it never changes a result or an exit code."""
