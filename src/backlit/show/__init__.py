"""Pictures: the house style, the gallery's stage, and the plots of a training run."""
