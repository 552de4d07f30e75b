"""Sessions in the forms of others: traces, compilation databases, provenance."""
