"""One module for each thing a user asks for: it joins what the other packages can do."""
