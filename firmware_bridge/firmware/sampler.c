/* A ring buffer of readings between the sampling interrupt and the main loop.
 *
 * One writer (the interrupt) and one reader (the main loop) share a ring. Each side moves only
 * its own one-byte index, which every processor reads and writes in one access, so no lock is
 * needed. Everything is volatile: a reading's bytes are thus written before the index that covers
 * them.
 */
#include "sampler.h"

#include "board.h"

#if BOARD_RING > 128 || (BOARD_RING & (BOARD_RING - 1)) != 0
#error "BOARD_RING must be a power of two, at most 128"
#endif

#ifndef SAMPLER_FIRST_NUMBER /* a test starts near the wrap */
#define SAMPLER_FIRST_NUMBER 0
#endif

static volatile struct reading ring[BOARD_RING];
static volatile uint8_t head, tail; /* free-running; head is the interrupt's */
static volatile uint32_t next_number, dropped, missed;
static volatile uint8_t instants;
static uint8_t checked; /* readings, from the oldest, without a gap between them */

void sampler_take(uint32_t tick, const int32_t *counts)
{
    if ((uint8_t)(head - tail) == BOARD_RING) {
        dropped++;
    } else {
        volatile struct reading *slot = &ring[head & (BOARD_RING - 1)];
        uint8_t i;

        slot->number = next_number;
        slot->tick = tick;
        for (i = 0; i < BOARD_CHANNELS; i++)
            slot->counts[i] = counts[i];
        head = (uint8_t)(head + 1);
    }
    next_number++;
    instants++;
}

void sampler_miss(void)
{
    missed++;
    next_number++;
    instants++;
}

uint8_t sampler_instants(void)
{
    return instants;
}

uint8_t sampler_run(uint8_t limit, bool *gap_follows)
{
    uint8_t waiting = (uint8_t)(head - tail);

    *gap_follows = false;
    for (; checked < waiting && checked < limit; checked++) {
        if (checked > 0 && sampler_peek(checked)->number != sampler_peek(0)->number + checked) {
            *gap_follows = true;
            break;
        }
    }
    return checked;
}

const volatile struct reading *sampler_peek(uint8_t index)
{
    return &ring[(uint8_t)(tail + index) & (BOARD_RING - 1)];
}

void sampler_release(uint8_t count)
{
    tail = (uint8_t)(tail + count);
    checked = 0;
}

void sampler_restart(void)
{
    uint8_t lock = board_lock();

    head = tail = checked = 0;
    next_number = SAMPLER_FIRST_NUMBER;
    dropped = missed = 0;
    board_unlock(lock);
}

void sampler_counters(uint32_t *next, uint32_t *drops, uint32_t *misses)
{
    uint8_t lock = board_lock(); /* an eight-bit processor reads four bytes in several accesses */

    *next = next_number;
    *drops = dropped;
    *misses = missed;
    board_unlock(lock);
}
