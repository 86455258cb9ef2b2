/* A ring buffer of readings between the sampling interrupt and the main loop. */
#ifndef EQEDGE_SAMPLER_H
#define EQEDGE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h" /* the board's: BOARD_CHANNELS, BOARD_RING, ... */

struct reading {
    uint32_t number; /* since boot, dropped ones counted too */
    uint32_t tick;
    int32_t counts[BOARD_CHANNELS];
};

/* From the interrupt, at each sampling instant. A full ring drops the new reading and counts it. */
void sampler_take(uint32_t tick, const int32_t *counts);

/* From the interrupt, when the converter has no result: the sample gets a number but no value. */
void sampler_miss(void);

/* From the main loop. */
uint8_t sampler_run(uint8_t limit, bool *gap_follows); /* readings without a gap, from the oldest */
const volatile struct reading *sampler_peek(uint8_t index);
void sampler_release(uint8_t count);
uint8_t sampler_instants(void); /* sampling instants so far, in eight bits */
void sampler_restart(void); /* numbers from zero, ring empty */
void sampler_counters(uint32_t *next, uint32_t *drops, uint32_t *misses);

#endif
