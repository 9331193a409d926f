"""What these pages need beside Sphinx, one idea a file."""
