/* Arduino Uno, three of its analogue inputs: 14 bits, the sum of 16 conversions of 10 bits. */
#define BOARD_CHANNELS 3
#define BOARD_SAMPLES_PER_PACKET 25
#define BOARD_MAX_WIDTH 2
#define BOARD_RING 32
