"""What `pcache doctor` tries: one check for each thing that this machine must offer."""
