"""From analysis to what people look at: plots, tables and a page."""
