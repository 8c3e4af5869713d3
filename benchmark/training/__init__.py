"""Training and finetuning: flat loops that read top to bottom."""
