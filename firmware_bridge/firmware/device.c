/* The device's side of the protocol: Hello, samples, replies to the host. */
#include "device.h"

#include "board.h"
#include "sampler.h"

#define BEACON_SECONDS 10u
#define SETTING_MAX 10000000u /* RATE in millihertz, GAIN in thousandths */

#define SAMPLES_BYTES \
    (WIRE_HEADER_BYTES + BOARD_SAMPLES_PER_PACKET * BOARD_CHANNELS * BOARD_MAX_WIDTH)
#define HELLO_BYTES (25 + 3 * BOARD_CHANNELS + 2 * (1 + WIRE_TEXT_BYTES))
#define PAYLOAD_BYTES (SAMPLES_BYTES > HELLO_BYTES ? SAMPLES_BYTES : HELLO_BYTES)

/* The one frame being sent; the first byte is for the zero before the first Hello. */
static uint8_t frame[1 + WIRE_FRAME_BYTES(PAYLOAD_BYTES)];

static struct wire_hello hello;
static uint16_t sequence;
static uint32_t beacon_samples; /* sampling instants between beacons */
static uint32_t beacon_number;  /* the instant at which the last one was due */
static bool sampled;            /* a reading has been sent since then */
static bool streaming, greeting_due, status_due, hello_due, reset_due;
static uint32_t lamp_from, lamp_ticks; /* lamp_ticks 0: not blinking */
static uint16_t pps_seen;

/* Slots for frames from the host: the interrupt fills one, the main loop answers the other. */
static struct {
    volatile bool complete;
    volatile uint8_t size; /* above WIRE_RECEIVE_BYTES: too long */
    uint32_t tick;
    uint8_t bytes[WIRE_RECEIVE_BYTES];
} slots[2];
static volatile uint8_t filling;
static uint8_t answering;
static volatile uint16_t receive_errors, replies_dropped;

static void send(uint16_t size)
{
    board_send(frame + 1, size);
}

static struct wire_writer writer(void)
{
    struct wire_writer w = {0};

    w.buffer = frame + 1;
    w.size = sizeof frame - 1;
    return w;
}

static void begin_stream(void)
{
    uint32_t unused;

    sampler_restart();
    sampler_counters(&beacon_number, &unused, &unused);
    sequence = 0;
    sampled = false;
    beacon_samples = hello.rate_millihertz / 1000u * BEACON_SECONDS
                     + hello.rate_millihertz % 1000u * BEACON_SECONDS / 1000u;
    if (beacon_samples == 0)
        beacon_samples = 1;
    streaming = true;
    status_due = false;
}

void device_start(void)
{
    board_identity(&hello);
    hello.boot_id = board_boot_id();
    begin_stream();
    greeting_due = true;
    hello_due = reset_due = false;
}

/* ---- Bytes from the host ------------------------------------------------------------------ */

void device_receive(uint8_t byte)
{
    uint8_t slot = filling;

    if (slots[slot].complete) { /* both slots wait for a reply */
        if (byte == 0)
            replies_dropped++;
    } else if (byte != 0) {
        if (slots[slot].size < WIRE_RECEIVE_BYTES)
            slots[slot].bytes[slots[slot].size] = byte;
        if (slots[slot].size <= WIRE_RECEIVE_BYTES)
            slots[slot].size++;
    } else if (slots[slot].size > WIRE_RECEIVE_BYTES) {
        receive_errors++;
        slots[slot].size = 0;
    } else if (slots[slot].size > 0) {
        slots[slot].tick = board_tick();
        slots[slot].complete = true;
        filling = slot ^ 1u;
    }
}

static uint8_t set_value(uint32_t wanted, uint32_t present, bool (*set)(uint32_t))
{
    if (wanted == present)
        return WIRE_DONE;
    if (wanted == 0 || wanted > SETTING_MAX)
        return WIRE_BAD_ARGUMENT;
    return set(wanted) ? WIRE_DONE : WIRE_NOT_POSSIBLE;
}

static uint32_t gain_thousandths(void)
{
    return (uint32_t)(hello.gain * 1000.0f + 0.5f);
}

static void obey(const struct wire_command *command)
{
    struct wire_ack ack = {0};
    struct wire_writer w = writer();
    uint32_t rate = hello.rate_millihertz;
    uint32_t gain = gain_thousandths();

    ack.boot = (uint8_t)hello.boot_id;
    ack.command_id = command->command_id;
    ack.verb = command->verb;
    switch (command->verb) {
    case WIRE_IDENTIFY:
        if (command->argument > 60u) {
            ack.result = WIRE_BAD_ARGUMENT;
            break;
        }
        lamp_from = board_tick();
        lamp_ticks = command->argument * hello.tick_hz;
        board_lamp(false); /* also when blinking ends */
        hello_due = true;
        break;
    case WIRE_START:
        streaming = true;
        break;
    case WIRE_STOP:
        streaming = false;
        break;
    case WIRE_RATE:
        ack.result = set_value(command->argument, rate, board_set_rate);
        board_identity(&hello); /* has the values now in force */
        ack.value = hello.rate_millihertz;
        break;
    case WIRE_GAIN:
        ack.result = set_value(command->argument, gain, board_set_gain);
        board_identity(&hello);
        ack.value = gain_thousandths();
        break;
    case WIRE_REBOOT:
        if (command->argument == hello.boot_id)
            reset_due = true;
        else
            ack.result = WIRE_BAD_ARGUMENT;
        break;
    default:
        ack.result = WIRE_UNKNOWN_VERB;
    }
    if (hello.rate_millihertz != rate || gain_thousandths() != gain) {
        hello.boot_id++;
        hello_due = true;
        begin_stream();
    }
    send(wire_ack(&w, &ack));
}

/* Reply to one frame of the host; return false if it needs no reply. */
static bool answer(uint8_t *bytes, uint8_t size, uint32_t tick_received)
{
    struct wire_time_reply reply = {0};
    struct wire_command command;
    struct wire_writer w = writer();
    int length = wire_open(bytes, size);
    uint8_t lock;

    if (length > 0 && wire_read_command(bytes, (uint16_t)length, &command)) {
        obey(&command);
        return true;
    }
    if (length > 0 && wire_read_time_request(bytes, (uint16_t)length, &reply.request_id)) {
        reply.boot = (uint8_t)hello.boot_id;
        reply.tick_received = tick_received;
        reply.pps_count = board_pps(&reply.pps_tick);
        reply.tick_sent = board_tick();
        send(wire_time_reply(&w, &reply));
        return true;
    }
    lock = board_lock(); /* the interrupt counts too */
    receive_errors++;
    board_unlock(lock);
    return false;
}

static bool answer_next(void)
{
    bool answered;
    uint8_t lock;

    if (!slots[answering].complete)
        return false;
    answered = answer(slots[answering].bytes, slots[answering].size, slots[answering].tick);
    lock = board_lock();
    slots[answering].size = 0;
    slots[answering].complete = false;
    board_unlock(lock);
    answering ^= 1u;
    return answered;
}

/* ---- Packets sent unrequested ------------------------------------------------------------- */

static void send_status(void)
{
    struct wire_status status = {0};
    struct wire_writer w = writer();
    uint32_t pps_tick = 0;
    uint16_t pps_count = board_pps(&pps_tick);

    status.boot = (uint8_t)hello.boot_id;
    status.tick = board_tick();
    sampler_counters(&status.next_sample, &status.samples_dropped, &status.adc_faults);
    status.receive_errors = receive_errors;
    status.replies_dropped = replies_dropped;
    status.temperature_centicelsius = board_temperature_centicelsius();
    status.supply_millivolts = board_supply_millivolts();
    status.streaming = streaming;
    status.adc_ok = sampled;
    sampled = false;
    /* Both, because an old edge looks new again after the tick has wrapped. */
    status.pps_locked = pps_count != pps_seen && status.tick - pps_tick < 2u * hello.tick_hz;
    pps_seen = pps_count;
    send(wire_status(&w, &status));
}

static void beacon_if_due(uint32_t number)
{
    if ((int32_t)(number - beacon_number) >= (int32_t)beacon_samples) {
        beacon_number = number;
        status_due = hello_due = true;
    }
}

static void send_samples(uint8_t count)
{
    struct wire_samples head = {0};
    struct wire_writer w = writer();
    uint32_t reach = 0;
    uint8_t i, channel;

    for (i = 0; i < count; i++)
        for (channel = 0; channel < BOARD_CHANNELS; channel++)
            reach |= wire_reach(sampler_peek(i)->counts[channel]);
    head.boot = (uint8_t)hello.boot_id;
    head.sequence = sequence++;
    head.first_sample = sampler_peek(0)->number;
    head.tick = sampler_peek(0)->tick;
    head.channel_count = BOARD_CHANNELS;
    head.width = wire_width(reach);
    head.sample_count = count;
    wire_samples(&w, &head);
    for (i = 0; i < count; i++)
        for (channel = 0; channel < BOARD_CHANNELS; channel++)
            wire_put(&w, (uint32_t)sampler_peek(i)->counts[channel], head.width);
    sampler_release(count);
    sampled = true;
    beacon_if_due(head.first_sample + count);
    send(wire_end(&w));
}

static void blink(void)
{
    uint32_t elapsed;

    if (lamp_ticks == 0)
        return;
    elapsed = board_tick() - lamp_from;
    if (elapsed >= lamp_ticks)
        lamp_ticks = 0;
    board_lamp(lamp_ticks != 0 && elapsed / (hello.tick_hz / 4u + 1u) % 2u == 0);
}

/* Send the waiting samples, or notice that none come. */
static bool stream(void)
{
    static uint8_t idle_instants; /* nothing more to do until the next sampling instant */
    uint8_t instants = sampler_instants();
    uint32_t next_number, unused;
    bool gap_follows;
    uint8_t count;

    if (instants == idle_instants)
        return false;
    count = sampler_run(BOARD_SAMPLES_PER_PACKET, &gap_follows);
    if (!streaming && count > 0) {
        sampler_release(count);
        return true;
    }
    if (count == BOARD_SAMPLES_PER_PACKET || gap_follows) {
        send_samples(count);
        return true;
    }
    idle_instants = instants;
    sampler_counters(&next_number, &unused, &unused);
    if (!streaming)
        beacon_number = next_number;
    else /* overdue by a packet: the converter does not answer; report it to the host */
        beacon_if_due(next_number - BOARD_SAMPLES_PER_PACKET);
    return status_due;
}

bool device_step(void)
{
    struct wire_writer w;

    blink();
    if (board_sending())
        return false;
    if (reset_due) {
        board_reset();
        return false;
    }
    if (greeting_due) {
        greeting_due = false;
        frame[0] = 0; /* ends any noise from the boot */
        w = writer();
        board_send(frame, (uint16_t)(1 + wire_hello(&w, &hello)));
        return true;
    }
    if (answer_next())
        return true;
    if (status_due) {
        status_due = false;
        send_status();
        return true;
    }
    if (hello_due) {
        hello_due = false;
        w = writer();
        send(wire_hello(&w, &hello));
        return true;
    }
    return stream();
}
