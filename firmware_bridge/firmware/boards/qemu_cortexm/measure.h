/* Measure the firmware for `make size`; compiled only with BOARD_MEASURE.
 *
 * Times are in ticks of timer 2, which runs at the processor's clock. With a fixed time for each
 * instruction in QEMU they count instructions.
 */
#ifndef EQEDGE_MEASURE_H
#define EQEDGE_MEASURE_H

#include <stdint.h>

#include "registers.h"

#ifdef BOARD_MEASURE
#define SETTLED_SAMPLES 100u /* after the boot */
#define MEASURED_SAMPLES 4000u

static struct {
    uint32_t since; /* awake time is counted from here */
    uint32_t woke, total, longest;
    uint32_t interval, worst_interval; /* awake from one sampling instant to the next */
    uint32_t instant, worst_reading;   /* in the interrupt that samples */
} cost;

static uint32_t measure_now(void) { return ~TIMER2_VALUE; } /* it counts down from all ones */

static uint32_t larger(uint32_t one, uint32_t other) { return one > other ? one : other; }

static void measure_wake(void)
{
    cost.since = cost.woke = measure_now();
}

static void measure_begin(void)
{
    TIMER2_RELOAD = 0xFFFFFFFFu;
    TIMER2_CONTROL = 1;
    measure_wake();
}

static void measure_instant(uint64_t taken)
{
    uint32_t now = measure_now();

    cost.interval += now - cost.since;
    if (taken > SETTLED_SAMPLES)
        cost.worst_interval = larger(cost.worst_interval, cost.interval);
    cost.interval = 0;
    cost.since = cost.instant = now;
}

static void measure_taken(void)
{
    cost.worst_reading = larger(cost.worst_reading, measure_now() - cost.instant);
}

static void measure_sleep(uint64_t taken)
{
    uint32_t now = measure_now();

    cost.interval += now - cost.since;
    cost.total += now - cost.woke;
    if (taken > SETTLED_SAMPLES)
        cost.longest = larger(cost.longest, now - cost.woke);
    if (taken < MEASURED_SAMPLES)
        return;
    say_hexadecimal(cost.total);
    say_hexadecimal(cost.longest);
    say_hexadecimal(cost.worst_interval);
    say_hexadecimal(cost.worst_reading);
    for (;;)
        ;
}
#else
static inline void measure_wake(void) {}
static inline void measure_begin(void) {}
static inline void measure_instant(uint64_t taken) { (void)taken; }
static inline void measure_taken(void) {}
static inline void measure_sleep(uint64_t taken) { (void)taken; }
#endif

#endif
