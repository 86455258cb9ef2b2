/* Arduino Uno: A0, A1, A2 through the converter on the chip.
 *
 * At each sampling instant 16 conversions of each input are taken in turn and added. The burst
 * lasts 48 conversions of 104 us, 5 ms; the reading's tick is the burst's middle.
 */
#include "board.h"

#include <avr/interrupt.h>
#include <avr/io.h>

#include "avr.h"
#include "sampler.h"

#define CONVERSIONS (16u * BOARD_CHANNELS)
#define CONVERSION_TICKS 26u /* 13 clocks of F_CPU / 128, in ticks of F_CPU / 64 */
#define HIGHEST_MILLIHERTZ 160000u

static volatile uint8_t conversions_left;
static int32_t sums[BOARD_CHANNELS];
static uint32_t middle_tick;

static void convert(uint8_t channel)
{
    ADMUX = (uint8_t)(1 << REFS0 | channel);
    ADCSRA |= 1 << ADSC;
}

void board_sample(uint32_t tick)
{
    uint8_t i;

    if (conversions_left != 0) { /* only if the converter has stopped */
        conversions_left = 0;
        sampler_miss();
        return;
    }
    for (i = 0; i < BOARD_CHANNELS; i++)
        sums[i] = -16 * 512; /* mid-scale is zero */
    middle_tick = tick + CONVERSIONS * CONVERSION_TICKS / 2;
    conversions_left = CONVERSIONS;
    convert(0);
}

ISR(ADC_vect)
{
    static uint8_t channel;

    if (conversions_left == 0)
        return;
    if (conversions_left == CONVERSIONS)
        channel = 0;
    sums[channel] += ADC;
    if (++channel == BOARD_CHANNELS)
        channel = 0;
    if (--conversions_left > 0)
        convert(channel);
    else
        sampler_take(middle_tick, sums);
}

void board_identity(struct wire_hello *hello)
{
    hello->rate_millihertz = avr_rate_millihertz();
    hello->tick_hz = AVR_TICK_HZ;
    hello->units_per_count = 1.0f; /* unknown sensor: not calibrated */
    hello->gain = 1.0f;
    hello->adc_bits = 14;
    hello->unit = WIRE_COUNTS;
    hello->channel_count = BOARD_CHANNELS;
    hello->channels = "ENEENNENZ";
    hello->device_id = "uno";
    hello->firmware = "eqedge uno 1.0";
}

bool board_set_rate(uint32_t millihertz)
{
    uint8_t lock = board_lock();
    bool set = avr_set_rate(millihertz, HIGHEST_MILLIHERTZ);

    if (set)
        conversions_left = 0; /* a burst of the old rate is not a reading of the new stream */
    board_unlock(lock);
    return set;
}

bool board_set_gain(uint32_t thousandths) { (void)thousandths; return false; }

int main(void)
{
    DDRB = 1 << DDB5;
    DIDR0 = 1 << ADC0D | 1 << ADC1D | 1 << ADC2D;
    ADCSRA = 1 << ADEN | 1 << ADIE | 1 << ADPS2 | 1 << ADPS1 | 1 << ADPS0;
    avr_set_rate(100000u, HIGHEST_MILLIHERTZ);
    avr_run();
    return 0;
}
