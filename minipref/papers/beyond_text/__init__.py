"""Chapter: preference learning beyond text."""
