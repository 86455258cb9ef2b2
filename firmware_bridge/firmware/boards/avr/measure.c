/* Count the cycles that an Uno's firmware is awake: in total, without sleep between, and from one
 * sampling instant to the next.
 *
 * simavr reports when an interrupt begins and ends. Timer 1's compare is the sampling instant; its
 * interrupt and those of the converter take the reading.
 */
#include "measure.h"

#include <simavr/sim_interrupts.h>
#include <stdbool.h>
#include <stdio.h>

/* Vectors of the ATmega328P. */
#define INT0_VECTOR 1
#define TIMER1_COMPA_VECTOR 11
#define ADC_VECTOR 21
#define VECTORS 26

/* The hardware needs four cycles to enter an interrupt, and four more from sleep (data sheet,
 * interrupt response time); simavr needs none. */
#define ENTRY_CYCLES 4
#define WAKE_CYCLES 4
/* An SPI byte takes 100 us in simavr; at the firmware's 1 MHz it takes 8 us. */
#define SPI_SURPLUS_CYCLES ((100 - 8) * (CLOCK_HZ / 1000000u))

static avr_t *avr;
static int64_t correction; /* cycles so far that the hardware needs and simavr does not count */
static int64_t entered;    /* when the present interrupt began, in the hardware's cycles */
static bool counting;
static int64_t total, interval, worst_interval, reading, worst_reading;

static int64_t now(void)
{
    return (int64_t)avr->cycle + correction;
}

void measure_spi_byte(void)
{
    correction -= SPI_SURPLUS_CYCLES;
}

static int64_t larger(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

static void interrupt(struct avr_irq_t *irq, uint32_t running, void *vector)
{
    unsigned number = (unsigned)(uintptr_t)vector;
    bool samples = number == TIMER1_COMPA_VECTOR || number == ADC_VECTOR || number == INT0_VECTOR;

    (void)irq;
    if (!running) {
        if (samples)
            reading += now() - entered;
        return;
    }
    entered = now();
    correction += ENTRY_CYCLES;
    if (number != TIMER1_COMPA_VECTOR)
        return;
    if (counting) { /* for at least one whole interval */
        worst_interval = larger(worst_interval, interval);
        worst_reading = larger(worst_reading, reading);
    }
    interval = reading = 0;
}

void measure(avr_t *of, double seconds)
{
    int64_t awake_since = 0, longest = 0;
    uint64_t start = CLOCK_HZ;
    unsigned lowest_stack = 0xFFFF, vector;

    avr = of;
    for (vector = 1; vector < VECTORS; vector++) {
        avr_irq_t *irq = avr_get_interrupt_irq(avr, (uint8_t)vector);

        if (irq)
            avr_irq_register_notify(irq + AVR_INT_IRQ_RUNNING, interrupt,
                                    (void *)(uintptr_t)vector);
    }
    while (avr->cycle < start + (uint64_t)(seconds * CLOCK_HZ) && avr->state != cpu_Crashed) {
        bool asleep = avr->state == cpu_Sleeping;
        int64_t before = now(), corrected = correction, awake = 0;
        unsigned stack;

        avr_run(avr);
        stack = avr->data[0x5D] | (unsigned)avr->data[0x5E] << 8;
        if (avr->cycle >= start && stack < lowest_stack)
            lowest_stack = stack;
        /* The step in which it falls asleep, and each one until it wakes, lasts as long as the
         * sleep. */
        if (!asleep && avr->state != cpu_Sleeping)
            awake = now() - before;
        if (asleep && avr->state != cpu_Sleeping) {
            correction += WAKE_CYCLES;
            awake = correction - corrected; /* it enters the interrupt that ended the sleep */
            awake_since = now() - awake;
        }
        interval += awake;
        if (counting)
            total += awake;
        if (counting && !asleep && avr->state == cpu_Sleeping)
            longest = larger(longest, before - awake_since);
        counting = avr->cycle >= start;
    }
    printf("busy_cycles_per_second %.0f\nlongest_awake_cycles %lld\n", (double)total / seconds,
           (long long)longest);
    printf("worst_interval_cycles %lld\nworst_reading_cycles %lld\nstack_bytes %u\n",
           (long long)worst_interval, (long long)worst_reading, 0x8FFu - lowest_stack);
}
