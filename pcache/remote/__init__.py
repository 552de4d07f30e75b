"""A store that many share: objects named by SHA-256 on an existing engine, believed when signed."""
