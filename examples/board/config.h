/* The sizes of this board; board.h of the firmware explains each. */
#define BOARD_CHANNELS 3
#define BOARD_SAMPLES_PER_PACKET 25
#define BOARD_MAX_WIDTH 4
#define BOARD_RING 128
