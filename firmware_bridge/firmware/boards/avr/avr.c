/* Common to all ATmega328P boards: UART, tick, sampling instants, PPS, boot number. */
#include "avr.h"

#include <avr/eeprom.h>
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#include "board.h"
#include "device.h"

#ifndef AVR_BAUD
#define AVR_BAUD 115200u
#endif

static volatile uint16_t turns;  /* of timer 1 */
static volatile uint16_t period; /* ticks between sampling instants */
static volatile uint16_t pps_count;
static volatile uint32_t pps_tick;
static uint32_t rate;
static const uint8_t *volatile sending_at;
static volatile uint16_t sending_left;
static uint32_t EEMEM boots; /* kept without power */

/* ---- Time --------------------------------------------------------------------------------- */

uint32_t board_tick(void)
{
    uint8_t lock = board_lock();
    uint16_t low = TCNT1, high = turns;

    if ((TIFR1 & (1 << TOV1)) && low < 0x8000u) /* wrapped, and not counted yet */
        high++;
    board_unlock(lock);
    return (uint32_t)high << 16 | low;
}

ISR(TIMER1_OVF_vect)
{
    turns++;
}

ISR(TIMER1_COMPA_vect)
{
    uint16_t instant = OCR1A; /* exact, however late this interrupt runs */
    uint32_t now = board_tick();

    OCR1A = (uint16_t)(instant + period);
    board_sample(now - (uint16_t)((uint16_t)now - instant));
}

/* The timer hardware captured the edge on D8: its tick is exact, however late this runs. */
ISR(TIMER1_CAPT_vect)
{
    uint16_t edge = ICR1;
    uint32_t now = board_tick();

    pps_tick = now - (uint16_t)((uint16_t)now - edge);
    if (++pps_count == 0)
        pps_count = 1; /* 0 means that there is none */
}

bool avr_set_rate(uint32_t millihertz, uint32_t highest_millihertz)
{
    uint32_t thousand_ticks = AVR_TICK_HZ * 1000u;
    uint32_t ticks = thousand_ticks / millihertz;
    uint8_t lock;

    if (millihertz > highest_millihertz || ticks > UINT16_MAX || ticks * millihertz != thousand_ticks)
        return false;
    lock = board_lock();
    rate = millihertz;
    period = (uint16_t)ticks;
    OCR1A = (uint16_t)(TCNT1 + period);
    board_unlock(lock);
    return true;
}

uint32_t avr_rate_millihertz(void) { return rate; }

/* ---- The line ----------------------------------------------------------------------------- */

ISR(USART_RX_vect)
{
    device_receive(UDR0);
}

ISR(USART_UDRE_vect)
{
    UDR0 = *sending_at++;
    if (--sending_left == 0)
        UCSR0B &= (uint8_t)~(1 << UDRIE0);
}

void board_send(const uint8_t *bytes, uint16_t size)
{
    sending_at = bytes;
    sending_left = size;
    UCSR0B |= 1 << UDRIE0;
}

bool board_sending(void)
{
    return (UCSR0B & (1 << UDRIE0)) != 0;
}

/* ---- The rest of board.h that all boards share -------------------------------------------- */

uint8_t board_lock(void)
{
    uint8_t status = SREG;

    cli();
    return status;
}

void board_unlock(uint8_t lock)
{
    __asm__ volatile("" : : : "memory");
    SREG = lock;
}

uint32_t board_boot_id(void)
{
    uint32_t number = eeprom_read_dword(&boots) + 1;

    eeprom_write_dword(&boots, number);
    return number * 2654435761u; /* odd, so that all numbers and all low bytes occur in turn */
}

void board_reset(void)
{
    wdt_enable(WDTO_15MS);
    for (;;)
        ;
}

void board_lamp(bool on)
{
    if (on)
        PORTB |= 1 << PORTB5;
    else
        PORTB &= (uint8_t)~(1 << PORTB5);
}

int16_t board_temperature_centicelsius(void) { return WIRE_NO_TEMPERATURE; }
uint16_t board_supply_millivolts(void) { return WIRE_NO_SUPPLY; }
uint16_t board_pps(uint32_t *tick)
{
    uint8_t lock = board_lock();
    uint16_t count = pps_count;

    *tick = pps_tick;
    board_unlock(lock);
    return count;
}

/* Before main: after a watchdog reset the watchdog would reset again within 15 ms. */
void disarm_watchdog(void) __attribute__((naked, used, section(".init3")));
void disarm_watchdog(void)
{
    MCUSR = 0;
    wdt_disable();
}

void avr_run(void)
{
    UCSR0A = 1 << U2X0;
    UBRR0 = (uint16_t)((F_CPU / 4 / AVR_BAUD - 1) / 2);
    UCSR0C = 1 << UCSZ01 | 1 << UCSZ00;
    UCSR0B = 1 << RXCIE0 | 1 << RXEN0 | 1 << TXEN0;
    PORTB |= 1 << PORTB0; /* pull-up: without a pulse per second on D8 it must not float */
    TCCR1B = 1 << ICES1 | 1 << CS11 | 1 << CS10;
    TIMSK1 = 1 << ICIE1 | 1 << OCIE1A | 1 << TOIE1;
    device_start();
    for (;;) {
        sei();
        while (device_step())
            ;
        /* An interrupt at this point costs at most one sampling interval of sleep. */
        SMCR = 1 << SE; /* idle: only the processor stops */
        sleep_cpu();
        SMCR = 0;
    }
}
