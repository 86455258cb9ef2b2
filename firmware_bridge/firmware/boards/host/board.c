/* The device as a Linux program: play a waveform file over a pty or a TCP port.
 *
 * The tick is 1 MHz. At --speed N it follows the computer's clock, multiplied by N and by the
 * waveform's crystal error; at --speed max it stops between samples, and the reader sets the
 * pace.
 */
#define _XOPEN_SOURCE 600
#include "board.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "sampler.h"
#include "waveform.h"

#define TICK_HZ 1000000u

static const struct waveform *wave;
static double speed;            /* 0: as fast as the reader takes it */
static uint32_t boots;
static uint64_t taken;          /* samples of the waveform that have been taken */
static uint64_t virtual_tick;   /* at --speed max */
static struct timespec began;
static int line = -1, listener = -1;
static bool reset_wanted;

/* ---- board.h ------------------------------------------------------------------------------ */

void board_identity(struct wire_hello *hello)
{
    hello->rate_millihertz = wave->rate_millihertz;
    hello->tick_hz = TICK_HZ;
    hello->units_per_count = wave->units_per_count;
    hello->gain = 1.0f;
    hello->adc_bits = wave->adc_bits;
    hello->unit = wave->unit;
    hello->channel_count = BOARD_CHANNELS;
    hello->channels = wave->codes;
    hello->device_id = wave->device_id;
    hello->firmware = "eqedge host 1.0";
}

uint32_t board_boot_id(void) { return wave->boot_seed + boots; }

static uint64_t long_tick(void)
{
    struct timespec now;
    double seconds;

    if (speed == 0.0)
        return virtual_tick;
    clock_gettime(CLOCK_MONOTONIC, &now);
    seconds = (double)(now.tv_sec - began.tv_sec) + 1e-9 * (double)(now.tv_nsec - began.tv_nsec);
    return (uint64_t)(seconds * speed * TICK_HZ * (1.0 + 1e-9 * wave->crystal_ppb));
}

uint32_t board_tick(void) { return (uint32_t)long_tick(); }

void board_send(const uint8_t *bytes, uint16_t size)
{
    while (size > 0 && line >= 0) {
        ssize_t sent = write(line, bytes, size);

        if (sent > 0) {
            bytes += sent;
            size = (uint16_t)(size - sent);
        } else if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
            struct pollfd ready = {line, POLLOUT, 0};

            poll(&ready, 1, 1000);
        } else {
            return; /* no reader, which a real device would not know */
        }
    }
}

bool board_sending(void) { return false; }
uint8_t board_lock(void) { return 0; }
void board_unlock(uint8_t lock) { (void)lock; }
bool board_set_rate(uint32_t millihertz) { (void)millihertz; return false; }
bool board_set_gain(uint32_t thousandths) { (void)thousandths; return false; }
void board_lamp(bool on) { (void)on; }
void board_reset(void) { reset_wanted = true; }
int16_t board_temperature_centicelsius(void) { return WIRE_NO_TEMPERATURE; }
uint16_t board_supply_millivolts(void) { return WIRE_NO_SUPPLY; }
uint16_t board_pps(uint32_t *tick) { (void)tick; return 0; }

/* ---- The line ----------------------------------------------------------------------------- */

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "sensor: %s: %s\n", what, why);
    exit(2);
}

static void open_pty(void)
{
    struct termios raw;
    struct pollfd reader;
    int slave;

    line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) != 0 || unlockpt(line) != 0)
        fail("pty", strerror(errno));
    slave = open(ptsname(line), O_RDWR | O_NOCTTY);
    if (slave < 0 || tcgetattr(slave, &raw) != 0)
        fail("pty", strerror(errno));
    raw.c_iflag = raw.c_oflag = raw.c_lflag = 0;
    raw.c_cflag = CS8 | CREAD | CLOCAL;
    tcsetattr(slave, TCSANOW, &raw);
    printf("pty %s\n", ptsname(line));
    fflush(stdout);
    close(slave); /* from now on the line is hung up until a reader opens it */
    reader.fd = line;
    reader.events = 0;
    do {
        poll(&reader, 1, 0);
        usleep(2000);
    } while (reader.revents & POLLHUP);
    usleep(50000); /* a reader flushes its input just after it has opened the line */
    fcntl(line, F_SETFL, O_NONBLOCK);
}

static void accept_reader(void)
{
    line = accept(listener, NULL, NULL);
    if (line >= 0) {
        usleep(50000);
        fcntl(line, F_SETFL, O_NONBLOCK);
    }
}

static void open_tcp(uint16_t port)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    int yes = 1;

    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0
        || listen(listener, 1) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("tcp", strerror(errno));
    printf("tcp %u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    accept_reader();
}

static void receive(int patience_milliseconds)
{
    struct pollfd source = {line >= 0 ? line : listener, POLLIN, 0};
    uint8_t bytes[256];
    ssize_t count, i;

    if (poll(&source, 1, patience_milliseconds) <= 0)
        return;
    if (line < 0) {
        accept_reader();
        return;
    }
    count = read(line, bytes, sizeof bytes);
    for (i = 0; i < count; i++)
        device_receive(bytes[i]);
    if (listener >= 0 && (count == 0 || (count < 0 && errno != EAGAIN))) {
        close(line);
        line = -1;
    } else if (count <= 0 && patience_milliseconds > 0) {
        usleep(1000); /* a pty without a reader is always "ready" */
    }
}

/* ---- The program -------------------------------------------------------------------------- */

static const struct waveform *load(const char *path)
{
    struct stat file;
    const struct waveform *w;
    int descriptor = open(path, O_RDONLY);
    void *memory;

    if (descriptor < 0 || fstat(descriptor, &file) != 0)
        fail(path, strerror(errno));
    if ((size_t)file.st_size < sizeof *w)
        fail(path, "is no waveform file (write one with `eqedge sensor waveform`)");
    memory = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    close(descriptor);
    if (memory == MAP_FAILED)
        fail(path, strerror(errno));
    w = memory;
    if (memcmp(w->magic, "EQW1", 4) != 0 || w->rate_millihertz == 0)
        fail(path, "is no waveform file (write one with `eqedge sensor waveform`)");
    if (w->channels != BOARD_CHANNELS)
        fail(path, "has another number of channels (build with CHANNELS=n)");
    if ((uint64_t)file.st_size < sizeof *w + (uint64_t)w->samples * BOARD_CHANNELS * 4u)
        fail(path, "is shorter than its header says");
    return w;
}

static uint64_t tick_of(uint64_t sample)
{
    return sample * TICK_HZ * 1000u / wave->rate_millihertz;
}

static void take(void)
{
    virtual_tick = tick_of(taken);
    sampler_take((uint32_t)tick_of(taken), wave->counts + taken * BOARD_CHANNELS);
    taken++;
}

int main(int argc, char **argv)
{
    if (argc < 3 || (strcmp(argv[2], "--pty") != 0 && argc < 4))
        fail("usage", "sensor WAVEFORM --pty | --tcp PORT [--speed N|max]");
    wave = load(argv[1]);
    speed = 1.0;
    if (argc > 4 && strcmp(argv[argc - 2], "--speed") == 0)
        speed = strcmp(argv[argc - 1], "max") == 0 ? 0.0 : atof(argv[argc - 1]);
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(argv[2], "--pty") == 0)
        open_pty();
    else
        open_tcp((uint16_t)atoi(argv[3]));
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (;;) {
        device_start();
        reset_wanted = false;
        while (!reset_wanted) {
            if (speed == 0.0) {
                receive(0);
                while (device_step())
                    ;
                if (taken == wave->samples)
                    return 0;
                take();
            } else {
                receive(1);
                while (taken < wave->samples && tick_of(taken) <= long_tick())
                    take();
                while (device_step())
                    ;
                if (taken == wave->samples)
                    return 0;
            }
        }
        boots++;
    }
}
