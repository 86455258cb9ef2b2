/* Arduino Uno with an ADS1256: three geophones on its differential inputs. */
#define BOARD_CHANNELS 3
#define BOARD_SAMPLES_PER_PACKET 25
#define BOARD_MAX_WIDTH 3
#define BOARD_RING 32
