/* Arduino Uno, three analogue inputs of its own: 14 bits by adding 16 conversions of 10. */
#define BOARD_CHANNELS 3
#define BOARD_SAMPLES_PER_PACKET 25
#define BOARD_MAX_WIDTH 2
#define BOARD_RING 32
