"""Training from STEAD-layout records: labels, augmentation, the step and its checkpoints."""
