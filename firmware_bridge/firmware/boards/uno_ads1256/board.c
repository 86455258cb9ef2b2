/* Arduino Uno with a Texas Instruments ADS1256 on SPI: three geophones, 24 bits.
 *
 * The converter has one modulator behind a multiplexer. At each sampling instant the first input
 * is started; each time data-ready falls, the next input is started and the finished conversion is
 * read, so that one round takes 3 x 2.2 ms at 500 conversions a second. The reading's tick is the
 * middle of the round; the outer channels are 2.2 ms before and after it.
 */
#include "board.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/delay.h>

#include "avr.h"
#include "sampler.h"

/* Wiring: CS D10, DIN D11, DOUT D12, SCLK D13, DRDY D2, PDWN/RESET to DVDD, lamp not available. */
#define CHIP_SELECT (1 << PORTB2)
#define DATA_READY (1 << PIND2) /* low: ready */

#define GEOPHONE_VOLTS 28.8f      /* per metre per second: an undamped 4.5 Hz SM-6 class geophone */
#define REFERENCE_VOLTS 2.5f
#define HIGHEST_MILLIHERTZ 125000u
#define ROUND_MICROSECONDS 6600u
#define HALF_ROUND_TICKS (ROUND_MICROSECONDS / 2u * (AVR_TICK_HZ / 1000u) / 1000u)

enum command {
    WAKEUP = 0x00, RDATA = 0x01, SDATAC = 0x0F, WREG = 0x50, SELFCAL = 0xF0, SYNC = 0xFC,
    RESET = 0xFE
};
enum chip_register { STATUS, MUX, ADCON, DRATE };

#define DRATE_500 0x92

static const uint8_t inputs[BOARD_CHANNELS] = {0x01, 0x23, 0x45}; /* differential pairs */
static volatile uint8_t channel = BOARD_CHANNELS; /* being converted; BOARD_CHANNELS: none */
static volatile bool calibrating;
static int32_t counts[BOARD_CHANNELS];
static uint32_t middle_tick;
static uint8_t gain_exponent = 6; /* 64 */

static uint8_t transfer(uint8_t byte)
{
    SPDR = byte;
    while (!(SPSR & (1 << SPIF)))
        ;
    return SPDR;
}

static void select(void)
{
    PORTB &= (uint8_t)~CHIP_SELECT;
}

static void deselect(void)
{
    _delay_us(2); /* t10: 8 clocks, or the last command is lost */
    PORTB |= CHIP_SELECT;
}

static void write_register(enum chip_register which, uint8_t value)
{
    transfer((uint8_t)(WREG | which));
    transfer(0); /* one register */
    transfer(value);
}

static void convert(uint8_t input)
{
    write_register(MUX, inputs[input]);
    transfer(SYNC);
    _delay_us(4); /* t11: 24 clocks of 7.68 MHz */
    transfer(WAKEUP);
}

static int32_t read_conversion(void)
{
    uint32_t value;

    transfer(RDATA);
    _delay_us(7); /* t6: 50 clocks */
    value = (uint32_t)transfer(0) << 24;
    value |= (uint32_t)transfer(0) << 16;
    value |= (uint32_t)transfer(0) << 8;
    return (int32_t)value >> 8; /* carries the sign down */
}

void board_sample(uint32_t tick)
{
    if (calibrating) {
        sampler_miss();
        return;
    }
    if (channel != BOARD_CHANNELS)
        sampler_miss(); /* the last round has not ended: no chip, or no clock */
    middle_tick = tick + HALF_ROUND_TICKS;
    channel = 0;
    select();
    convert(0);
    deselect();
    EIFR = 1 << INTF0; /* ignore an earlier edge */
}

/* Data-ready has fallen. */
ISR(INT0_vect)
{
    uint8_t finished = channel;

    if (finished == BOARD_CHANNELS)
        return; /* the converter continues by itself between rounds */
    select();
    channel = (uint8_t)(finished + 1);
    if (channel < BOARD_CHANNELS)
        convert(channel); /* before reading, to lose no time */
    counts[finished] = read_conversion();
    deselect();
    if (channel == BOARD_CHANNELS)
        sampler_take(middle_tick, counts);
}

/* Wait for the end of a command. Data-ready rises a moment after it: do not read it earlier. */
static void await_data_ready(void)
{
    uint16_t patience = 500;

    do
        _delay_us(100);
    while (--patience > 0 && (PIND & DATA_READY));
}

static void configure(void)
{
    uint8_t lock = board_lock();

    select();
    write_register(STATUS, 0x02);          /* most significant bit first, input buffer on */
    write_register(ADCON, gain_exponent);  /* clock output off, gain 2^n */
    write_register(DRATE, DRATE_500);
    transfer(SELFCAL);
    deselect();
    channel = BOARD_CHANNELS;
    calibrating = true;
    board_unlock(lock);
    await_data_ready(); /* no command is allowed before */
    calibrating = false;
}

void board_identity(struct wire_hello *hello)
{
    float gain = (float)(1u << gain_exponent);

    hello->rate_millihertz = avr_rate_millihertz();
    hello->tick_hz = AVR_TICK_HZ;
    hello->units_per_count = 2.0f * REFERENCE_VOLTS / gain / 8388607.0f / GEOPHONE_VOLTS;
    hello->gain = gain;
    hello->adc_bits = 24;
    hello->unit = WIRE_METRES_PER_SECOND;
    hello->channel_count = BOARD_CHANNELS;
    hello->channels = "EHEEHNEHZ";
    hello->device_id = "uno-ads1256";
    hello->firmware = "eqedge uno-ads1256 1.0";
}

bool board_set_rate(uint32_t millihertz)
{
    uint8_t lock = board_lock();
    bool set = avr_set_rate(millihertz, HIGHEST_MILLIHERTZ);

    if (set)
        channel = BOARD_CHANNELS; /* a round of the old rate is not a reading of the new stream */
    board_unlock(lock);
    return set;
}

bool board_set_gain(uint32_t thousandths)
{
    uint8_t exponent;

    for (exponent = 0; exponent <= 6; exponent++) {
        if (thousandths == 1000u << exponent) {
            gain_exponent = exponent;
            configure();
            return true;
        }
    }
    return false;
}

int main(void)
{
    DDRB = CHIP_SELECT | 1 << DDB3 | 1 << DDB5;
    PORTB = CHIP_SELECT;
    SPCR = 1 << SPE | 1 << MSTR | 1 << CPHA | 1 << SPR0; /* mode 1, 1 MHz: at most a quarter */
    EICRA = 1 << ISC01; /* INT0 on the falling edge */
    EIMSK = 1 << INT0;
    select();
    transfer(RESET);
    deselect();
    await_data_ready(); /* a reset calibrates too */
    configure();
    avr_set_rate(100000u, HIGHEST_MILLIHERTZ);
    avr_run();
    return 0;
}
