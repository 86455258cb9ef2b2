/* The functions that the portable part needs from a board, and those that a board calls.
 *
 * A board also has a config.h:
 *   BOARD_CHANNELS            channels in a reading, 1 to 6
 *   BOARD_SAMPLES_PER_PACKET  samples in a packet; a quarter of a second is a good choice
 *   BOARD_MAX_WIDTH           bytes that a count of this converter can need: 2, 3 or 4
 *   BOARD_RING                readings that can wait: a power of two, at most 128, and more than
 *                             arrive while one packet is sent
 * and calls sampler_take (or sampler_miss) at each sampling instant, device_receive for each byte.
 */
#ifndef EQEDGE_BOARD_H
#define EQEDGE_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

/* Fill in everything except boot_id; called once, before sampling begins. */
void board_identity(struct wire_hello *hello);

/* Another number at each boot: random, or counted in non-volatile memory. */
uint32_t board_boot_id(void);

/* The free-running tick; may be called from interrupts. */
uint32_t board_tick(void);

/* Begin to send; the bytes do not change until board_sending returns false. */
void board_send(const uint8_t *bytes, uint16_t size);
bool board_sending(void);

/* Disable the sampling and receiving interrupts; pass the returned value to board_unlock. */
uint8_t board_lock(void);
void board_unlock(uint8_t lock);

/* Return false, with nothing changed, if the board cannot. Called only with a new value. A
 * conversion that began before must not become a sample after. */
bool board_set_rate(uint32_t millihertz);
bool board_set_gain(uint32_t thousandths);

void board_lamp(bool on);
void board_reset(void);

/* WIRE_NO_TEMPERATURE, WIRE_NO_SUPPLY where it is not measured. */
int16_t board_temperature_centicelsius(void);
uint16_t board_supply_millivolts(void);

/* Edges of a pulse-per-second input since boot (0: none), and the tick of the latest. */
uint16_t board_pps(uint32_t *tick);

#endif
