"""The workstation: training, weight import, quantization and its proof."""
