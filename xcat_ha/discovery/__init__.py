"""What a management node that serves now tells of itself, and the configuration that follows from it."""
