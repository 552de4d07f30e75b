"""One module for each verb that runs a command or asks about one."""
