"""What happened, and why: sessions in words, tables and pictures."""
