/* The Linux program: any waveform file of this many channels. */
#ifndef BOARD_CHANNELS
#define BOARD_CHANNELS 3
#endif
#define BOARD_SAMPLES_PER_PACKET 25
#define BOARD_MAX_WIDTH 4
#define BOARD_RING 128
