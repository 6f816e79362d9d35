"""Drawings of a graph: what is to be seen (`scene`), where it stands (`layout`), and as what (`svg`, `text`)."""
