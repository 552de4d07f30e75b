"""What the verbs share: one module for each step of a session."""
