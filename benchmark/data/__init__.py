"""Where images come from: manifests, folders, downloads, and the checks of each file."""
