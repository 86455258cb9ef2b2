/* Bare metal on QEMU's mps2-an385 (Cortex-M3 at 25 MHz): UART0 is the line, a timer interrupt
 * samples the waveform that QEMU's loader has put into the PSRAM, UART1 sends a test the ticks of
 * marked samples.
 *
 * Sample n is due at tick n * tick_hz / rate. QEMU may be late with an interrupt when its host is
 * busy; the interrupt then takes all samples that are due, each with its own instant. The waveform
 * thus keeps its pace like a converter with its own crystal.
 */
#include "board.h"

#include <stddef.h>

#include "device.h"
#include "measure.h"
#include "registers.h"
#include "sampler.h"
#include "waveform.h"

#define CPU_HZ 25000000u
#define TICK_HZ (CPU_HZ / 16u) /* the dual timer's prescaler */
#define WAVE ((const struct waveform *)0x21000000)

extern uint32_t data_source[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];

/* Kept over a reset, but not without power: the number of the boot. */
static uint32_t resets __attribute__((section(".noinit")));
static uint32_t resets_proof __attribute__((section(".noinit")));

static const uint8_t *volatile sending_at;
static volatile uint16_t sending_left;
static uint32_t hardware_last, hardware_turns; /* extend the timer's 32 bits */
static uint64_t taken, next_mark;

void reset(void);
int main(void);

/* ---- Time --------------------------------------------------------------------------------- */

static uint64_t long_tick(void)
{
    uint8_t lock = board_lock();
    uint32_t now = ~DUAL_VALUE; /* it counts down from all ones */
    int64_t ticks;

    if (now < hardware_last)
        hardware_turns++;
    hardware_last = now;
    ticks = (int64_t)((uint64_t)hardware_turns << 32 | now);
    board_unlock(lock);
    return (uint64_t)(ticks + ticks * WAVE->crystal_ppb / 1000000000);
}

uint32_t board_tick(void) { return (uint32_t)long_tick(); }

static uint64_t tick_of(uint64_t sample)
{
    return sample * TICK_HZ * 1000u / WAVE->rate_millihertz;
}

static void timer_interrupt(void)
{
    uint64_t now;

    measure_instant(taken);
    now = long_tick();
    TIMER_CLEAR = 1;
    while (tick_of(taken) <= now) {
        uint64_t at = taken < WAVE->samples ? taken : WAVE->samples - 1u;

        sampler_take((uint32_t)tick_of(taken), WAVE->counts + at * BOARD_CHANNELS);
        if (taken == next_mark) {
            say_hexadecimal(board_tick());
            next_mark += WAVE->mark_samples;
        }
        taken++;
    }
    measure_taken();
}

/* ---- The line ----------------------------------------------------------------------------- */

static void receive_interrupt(void)
{
    UART_CLEAR(0) = 2;
    while (UART_STATE(0) & UART_RX_FULL)
        device_receive((uint8_t)UART_DATA(0));
}

static void send_interrupt(void)
{
    UART_CLEAR(0) = 1;
    if (sending_left > 0 && !(UART_STATE(0) & UART_TX_FULL)) {
        sending_left--;
        UART_DATA(0) = *sending_at++;
    }
}

void board_send(const uint8_t *bytes, uint16_t size)
{
    uint8_t lock = board_lock();

    sending_at = bytes + 1;
    sending_left = (uint16_t)(size - 1);
    UART_DATA(0) = bytes[0]; /* its completion causes the first interrupt */
    board_unlock(lock);
}

bool board_sending(void)
{
    return sending_left > 0 || (UART_STATE(0) & UART_TX_FULL);
}

/* ---- The rest of board.h ------------------------------------------------------------------ */

void board_identity(struct wire_hello *hello)
{
    hello->rate_millihertz = WAVE->rate_millihertz;
    hello->tick_hz = TICK_HZ;
    hello->units_per_count = WAVE->units_per_count;
    hello->gain = 1.0f;
    hello->adc_bits = WAVE->adc_bits;
    hello->unit = WAVE->unit;
    hello->channel_count = BOARD_CHANNELS;
    hello->channels = WAVE->codes;
    hello->device_id = WAVE->device_id;
    hello->firmware = "eqedge mps2-an385 1.0";
}

uint32_t board_boot_id(void)
{
    if (resets_proof != ~resets)
        resets = 0; /* the power was off */
    resets_proof = ~(resets + 1);
    return WAVE->boot_seed + resets++;
}

uint8_t board_lock(void)
{
    uint32_t primask;

    __asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(primask) : : "memory");
    return (uint8_t)primask;
}

void board_unlock(uint8_t lock)
{
    if (!lock)
        __asm__ volatile("cpsie i" : : : "memory");
}

bool board_set_rate(uint32_t millihertz) { (void)millihertz; return false; }
bool board_set_gain(uint32_t thousandths) { (void)thousandths; return false; }
void board_lamp(bool on) { (void)on; }

void board_reset(void)
{
    RESET_CONTROL = 0x05FA0004u;
    for (;;)
        ;
}

int16_t board_temperature_centicelsius(void) { return WIRE_NO_TEMPERATURE; }
uint16_t board_supply_millivolts(void) { return WIRE_NO_SUPPLY; }
uint16_t board_pps(uint32_t *tick) { (void)tick; return 0; }

/* ---- Start -------------------------------------------------------------------------------- */

/* In true processor cycles; a fast crystal samples too often. */
static uint32_t interrupt_period(void)
{
    uint64_t nominal = (uint64_t)CPU_HZ * 1000u * 1000u / WAVE->rate_millihertz; /* thousandths */

    return (uint32_t)(nominal * 1000000u / (uint64_t)(1000000000 + WAVE->crystal_ppb));
}

int main(void)
{
    DUAL_LOAD = 0xFFFFFFFFu;
    DUAL_CONTROL = 0xC6; /* on, periodic, prescaler 16, 32 bits */
    UART_DIVIDER(0) = CPU_HZ / 115200u;
    UART_DIVIDER(1) = CPU_HZ / 115200u;
    UART_CONTROL(0) = 0x0F; /* send, receive, and an interrupt for each */
    UART_CONTROL(1) = 0x01;
    device_start();
    next_mark = WAVE->mark_samples;
    TIMER_RELOAD = interrupt_period() - 1u;
    TIMER_CONTROL = 0x09; /* on, with interrupt */
    NVIC_ENABLE = 1u << 0 | 1u << 1 | 1u << 8;
    measure_begin();
    for (;;) {
        while (device_step())
            ;
        /* An interrupt that comes while locked still ends the sleep, and runs after it. */
        board_lock();
        measure_sleep(taken);
        __asm__ volatile("wfi");
        measure_wake();
        board_unlock(0);
    }
}

void reset(void)
{
    uint32_t *from = data_source, *to;

    for (to = data_begin; to < data_end;)
        *to++ = *from++;
    for (to = bss_begin; to < bss_end;)
        *to++ = 0;
    main();
}

static void stuck(void)
{
    board_reset(); /* a fault: restart with a new boot_id */
}

static void (*const vectors[16 + 9])(void) __attribute__((section(".vectors"), used)) = {
    (void (*)(void))(uintptr_t)stack_top, reset, stuck, stuck, stuck, stuck, stuck, NULL, NULL,
    NULL, NULL, stuck, stuck, NULL, stuck, stuck,
    receive_interrupt, send_interrupt, stuck, stuck, stuck, stuck, stuck, stuck, timer_interrupt
};
