project = "parts"
extensions = ["sphinx.ext.autosectionlabel"]
html_theme = "alabaster"
