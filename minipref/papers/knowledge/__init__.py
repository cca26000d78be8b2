"""Which source of knowledge a model follows."""
