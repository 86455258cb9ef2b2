/* device.c and sampler.c from the host's side, scenario by scenario. */
#include "check.h"
#include "device.h"
#include "fake_board.h"
#include "sampler.h"

#define TYPE(i) (sent[i][1])

static uint32_t value(const uint8_t *at, int bytes)
{
    uint32_t v = 0;

    while (bytes-- > 0)
        v = v << 8 | at[bytes];
    return v;
}

static uint32_t first_number(void)
{
    uint32_t next, unused;

    sampler_counters(&next, &unused, &unused);
    return next;
}

static void run(void)
{
    while (device_step())
        ;
}

static void boot(void)
{
    fake_tick = 0;
    fake_rate = 100000;
    fake_gain = 1000;
    fake_busy = false;
    fake_pps_count = 0;
    device_start();
    run();
    sent_count = 0;
}

static void take(unsigned readings)
{
    static int32_t counter;
    unsigned i;

    for (i = 0; i < readings; i++) {
        int32_t counts[BOARD_CHANNELS] = {0};

        counts[0] = ++counter;
        fake_tick += 10000;
        sampler_take(fake_tick, counts);
    }
}

static void receive(uint8_t type, const uint8_t *body, unsigned size)
{
    uint8_t bytes[64];
    struct wire_writer w = {0};
    unsigned i, length;

    wire_begin(&w, bytes, sizeof bytes, type);
    for (i = 0; i < size; i++)
        wire_put(&w, body[i], 1);
    length = wire_end(&w);
    for (i = 0; i < length; i++)
        device_receive(bytes[i]);
}

static void command(uint16_t id, uint8_t verb, uint32_t argument)
{
    uint8_t body[7];
    int i;

    body[0] = (uint8_t)id;
    body[1] = (uint8_t)(id >> 8);
    body[2] = verb;
    for (i = 0; i < 4; i++)
        body[3 + i] = (uint8_t)(argument >> 8 * i);
    receive(WIRE_COMMAND, body, sizeof body);
}

/* The latest Ack's result, when it answers this command. */
static int result_of(unsigned index, uint16_t id)
{
    return TYPE(index) == WIRE_ACK && value(sent[index] + 3, 2) == id ? sent[index][6] : -1;
}

static void greets_first(void)
{
    fake_rate = 100000;
    device_start();
    run();
    CHECK(sent_count == 1 && TYPE(0) == WIRE_HELLO);
    CHECK(value(sent[0] + 2, 4) == 0xABCDEF10u);
}

static void packs_whole_packets_and_numbers_them(void)
{
    uint32_t first;

    boot();
    first = first_number();
    take(BOARD_SAMPLES_PER_PACKET - 1);
    run();
    CHECK(sent_count == 0);
    take(BOARD_SAMPLES_PER_PACKET + 1);
    run();
    CHECK(sent_count == 2 && TYPE(0) == WIRE_SAMPLES && TYPE(1) == WIRE_SAMPLES);
    CHECK(value(sent[0] + 3, 2) == 0 && value(sent[1] + 3, 2) == 1);
    CHECK(value(sent[0] + 5, 4) == first);
    CHECK(value(sent[1] + 5, 4) == first + BOARD_SAMPLES_PER_PACKET); /* wraps: see Makefile */
    CHECK(value(sent[0] + 9, 4) == 10000);
    CHECK(value(sent[1] + 9, 4) == 10000 * (BOARD_SAMPLES_PER_PACKET + 1));
}

static void a_full_ring_drops_and_says_so(void)
{
    uint32_t first, next, dropped, missed;
    unsigned i, samples = 0;

    boot();
    first = first_number();
    fake_busy = true; /* the line is stuck */
    take(BOARD_RING + 40);
    run();
    CHECK(sent_count == 0);
    sampler_counters(&next, &dropped, &missed);
    CHECK(dropped == 40 && next == first + BOARD_RING + 40 && missed == 0);
    fake_busy = false;
    run();
    take(1);
    run();
    for (i = 0; i < sent_count; i++)
        if (TYPE(i) == WIRE_SAMPLES)
            samples += sent[i][15];
    CHECK(samples == BOARD_RING); /* the last, shorter packet ends before the gap */
    take(BOARD_SAMPLES_PER_PACKET);
    run();
    CHECK(value(sent[sent_count - 1] + 5, 4) == first + BOARD_RING + 40);
}

static void a_silent_converter_is_heard_of(void)
{
    unsigned i;

    boot();
    for (i = 0; i < 1000 + BOARD_SAMPLES_PER_PACKET; i++)
        sampler_miss();
    run();
    CHECK(sent_count == 2 && TYPE(0) == WIRE_STATUS && TYPE(1) == WIRE_HELLO);
    CHECK(value(sent[0] + 15, 4) == 1000 + BOARD_SAMPLES_PER_PACKET);
    CHECK((sent[0][27] & 3) == 1); /* streaming, converter does not answer */
    take(BOARD_SAMPLES_PER_PACKET);
    for (i = 0; i < 1000 + BOARD_SAMPLES_PER_PACKET; i++)
        sampler_miss();
    take(1); /* the gap shows in the packet after it */
    run();
    CHECK(TYPE(2) == WIRE_SAMPLES && TYPE(3) == WIRE_STATUS && (sent[3][27] & 3) == 3);
}

static void tells_time(void)
{
    const uint8_t id[4] = {1, 2, 3, 4};

    boot();
    fake_tick = 500;
    fake_pps_count = 9;
    fake_pps_tick = 77;
    receive(WIRE_TIME_REQUEST, id, 4);
    fake_tick = 620;
    run();
    CHECK(sent_count == 1 && TYPE(0) == WIRE_TIME_REPLY);
    CHECK(value(sent[0] + 3, 4) == 0x04030201u);
    CHECK(value(sent[0] + 7, 4) == 500 && value(sent[0] + 11, 4) == 620);
    CHECK(value(sent[0] + 15, 4) == 77 && value(sent[0] + 19, 2) == 9);
}

static void three_requests_at_once_get_two_answers(void)
{
    const uint8_t id[4] = {0, 0, 0, 0};
    unsigned i;

    boot();
    fake_busy = true;
    for (i = 0; i < 3; i++)
        receive(WIRE_TIME_REQUEST, id, 4);
    fake_busy = false;
    run();
    CHECK(sent_count == 2);
    for (i = 0; i < 10; i++) {
        take(100);
        run();
    }
    for (i = 0; i < sent_count && TYPE(i) != WIRE_STATUS; i++)
        ;
    CHECK(i < sent_count && value(sent[i] + 21, 2) == 1);
}

static void noise_is_counted_and_the_next_frame_read(void)
{
    const uint8_t id[4] = {9, 9, 9, 9};
    uint32_t i, errors;

    boot();
    for (i = 0; i < 1000; i++)
        device_receive(0x41);
    device_receive(0);
    device_receive(0x42);
    device_receive(0);
    run();
    receive(WIRE_TIME_REQUEST, id, 4);
    run();
    receive(0x7E, id, 4); /* a later type */
    run();
    CHECK(sent_count == 1 && TYPE(0) == WIRE_TIME_REPLY);
    for (i = 0; i < 10; i++) {
        take(100);
        run();
    }
    for (i = 0; i < sent_count && TYPE(i) != WIRE_STATUS; i++)
        ;
    errors = value(sent[i] + 19, 2);
    CHECK(errors >= 3); /* counters of the link continue over the boots of this test program */
}

static void stop_keeps_numbering(void)
{
    uint32_t first;

    boot();
    first = first_number();
    take(10);
    command(1, WIRE_STOP, 0);
    run();
    take(100);
    run();
    CHECK(sent_count == 1 && result_of(0, 1) == WIRE_DONE);
    command(2, WIRE_START, 0);
    run();
    take(BOARD_SAMPLES_PER_PACKET);
    run();
    CHECK(sent_count == 3 && value(sent[2] + 5, 4) == first + 110);
}

static void rate_and_gain_begin_a_new_stream(void)
{
    boot();
    take(3 * BOARD_SAMPLES_PER_PACKET);
    run();
    sent_count = 0;
    command(5, WIRE_RATE, 250000);
    run();
    CHECK(sent_count == 2 && result_of(0, 5) == WIRE_DONE && TYPE(1) == WIRE_HELLO);
    CHECK(sent[0][2] == 0x10 && value(sent[1] + 2, 4) == 0xABCDEF11u);
    CHECK(value(sent[1] + 6, 4) == 250000);
    take(BOARD_SAMPLES_PER_PACKET);
    run();
    CHECK(TYPE(2) == WIRE_SAMPLES && value(sent[2] + 3, 2) == 0 && sent[2][2] == 0x11);
    command(6, WIRE_RATE, 250000); /* repeated: already in force */
    command(7, WIRE_GAIN, 2000);
    run();
    CHECK(result_of(3, 6) == WIRE_DONE && result_of(4, 7) == WIRE_DONE);
    CHECK(value(sent[4] + 7, 4) == 2000 && value(sent[5] + 2, 4) == 0xABCDEF12u);
}

static void what_cannot_be_is_refused(void)
{
    static const struct { uint8_t verb; uint32_t argument; int result; } cases[] = {
        {WIRE_RATE, 0, WIRE_BAD_ARGUMENT},
        {WIRE_RATE, 4000000000u, WIRE_BAD_ARGUMENT},
        {WIRE_RATE, 62500, WIRE_NOT_POSSIBLE},
        {WIRE_GAIN, 65000, WIRE_NOT_POSSIBLE},
        {WIRE_IDENTIFY, 61, WIRE_BAD_ARGUMENT},
        {WIRE_REBOOT, 1, WIRE_BAD_ARGUMENT},
        {99, 0, WIRE_UNKNOWN_VERB},
    };
    unsigned i;

    boot();
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sent_count = 0;
        command((uint16_t)i, cases[i].verb, cases[i].argument);
        run();
        CHECK(sent_count == 1 && result_of(0, (uint16_t)i) == cases[i].result);
    }
    CHECK(fake_resets == 0);
}

static void blinks_as_long_as_told(void)
{
    boot();
    command(1, WIRE_IDENTIFY, 5);
    run();
    CHECK(fake_lamp);
    fake_tick += 300000;
    run();
    CHECK(!fake_lamp);
    fake_tick += 300000;
    run();
    CHECK(fake_lamp);
    fake_tick += 4400000;
    run();
    CHECK(!fake_lamp);
    command(2, WIRE_IDENTIFY, 60);
    run();
    CHECK(fake_lamp);
    command(3, WIRE_IDENTIFY, 61); /* rejected: nothing changes */
    run();
    CHECK(fake_lamp);
    command(4, WIRE_IDENTIFY, 0);
    run();
    CHECK(!fake_lamp);
}

static void reboots_after_the_ack_has_gone_out(void)
{
    boot();
    command(1, WIRE_REBOOT, 0xABCDEF10u);
    CHECK(device_step());
    CHECK(sent_count == 1 && result_of(0, 1) == WIRE_DONE);
    fake_busy = true;
    CHECK(!device_step() && fake_resets == 0);
    fake_busy = false;
    device_step();
    CHECK(fake_resets == 1);
    boot();
}

static void sequences_wrap(void)
{
    unsigned i;

    boot();
    for (i = 0; i < 65537; i++) {
        take(BOARD_SAMPLES_PER_PACKET);
        sent_count = 0;
        run();
        if (i >= 65534)
            CHECK(value(sent[0] + 3, 2) == (i & 0xFFFF));
    }
}

static void status_says_how_it_fares(void)
{
    unsigned i;

    boot();
    fake_pps_count = 10;
    for (i = 0; i < 10; i++) {
        take(100);
        fake_pps_tick = fake_tick - 500000;
        run();
    }
    for (i = 0; i < sent_count && TYPE(i) != WIRE_STATUS; i++)
        ;
    CHECK(i + 1 < sent_count && TYPE(i + 1) == WIRE_HELLO);
    CHECK(value(sent[i] + 23, 2) == 2150 && value(sent[i] + 25, 2) == 5012);
    CHECK(sent[i][27] == 7);
}

int main(void)
{
    greets_first();
    packs_whole_packets_and_numbers_them();
    a_full_ring_drops_and_says_so();
    a_silent_converter_is_heard_of();
    tells_time();
    three_requests_at_once_get_two_answers();
    noise_is_counted_and_the_next_frame_read();
    stop_keeps_numbering();
    rate_and_gain_begin_a_new_stream();
    what_cannot_be_is_refused();
    blinks_as_long_as_told();
    reboots_after_the_ack_has_gone_out();
    sequences_wrap();
    status_says_how_it_fares();
    return verdict("test_device");
}
