/* Cortex-M3 on QEMU's mps2-an385, playing a waveform of three channels. */
#define BOARD_CHANNELS 3
#define BOARD_SAMPLES_PER_PACKET 25
#define BOARD_MAX_WIDTH 4
#define BOARD_RING 128
