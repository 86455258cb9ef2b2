/* Run an Uno's ELF file on simavr: its UART is a TCP port, its converter reads a waveform file.
 *
 *   simulate_avr ELF uno|ads1256 WAVEFORM --tcp PORT        in real time until the reader leaves
 *   simulate_avr ELF uno|ads1256 WAVEFORM --measure SECONDS prints cycles and stack (measure.c)
 *
 * `uno`: the waveform's counts are the inputs in steps of a fourteenth bit of 5 V around 2.5 V.
 * `ads1256`: a model of the converter on SPI (ads1256.c) returns the waveform's counts.
 * The waveform keeps its rate; the firmware samples it at its own instants.
 */
#define _XOPEN_SOURCE 600
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <simavr/avr_adc.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ads1256.h"
#include "measure.h"
#include "waveform.h"

static avr_t *avr;
static struct waveform *wave;
static int line = -1;
static bool line_full; /* the firmware's receiver is full */

static int32_t now_count(unsigned channel)
{
    uint64_t index = avr->cycle * wave->rate_millihertz / 1000u / CLOCK_HZ;

    if (index >= wave->samples)
        index = wave->samples - 1;
    return channel < wave->channels ? wave->counts[index * wave->channels + channel] : 0;
}

/* ---- The converter on the chip ------------------------------------------------------------ */

static void conversion_begins(struct avr_irq_t *irq, uint32_t value, void *unused)
{
    union { avr_adc_mux_t mux; uint32_t value; } request;
    unsigned channel;

    (void)irq;
    (void)unused;
    request.value = value;
    channel = request.mux.src;
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_ADC0 + (int)channel),
                  (uint32_t)(2500 + (int64_t)now_count(channel) * 5000 / 16384));
}

/* ---- A GPS receiver's pulse each second, 100 ms long, on D8 -------------------------------- */

static avr_cycle_count_t pulse(avr_t *unused, avr_cycle_count_t when, void *rising)
{
    (void)unused;
    (void)when;
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('B'), 0), rising ? 1 : 0);
    avr_cycle_timer_register(avr, CLOCK_HZ / 10 * (rising ? 1 : 9), pulse, rising ? NULL : avr);
    return 0;
}

/* ---- The line ----------------------------------------------------------------------------- */

static void uart_byte(struct avr_irq_t *irq, uint32_t value, void *unused)
{
    uint8_t byte = (uint8_t)value;

    (void)irq;
    (void)unused;
    if (line >= 0 && write(line, &byte, 1) != 1 && errno != EAGAIN)
        exit(0); /* the reader has left */
}

static void uart_flow(struct avr_irq_t *irq, uint32_t value, void *full)
{
    (void)irq;
    (void)value;
    line_full = full != NULL;
}

static void open_line(uint16_t port)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0
        || listen(listener, 1) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("simulate_avr: tcp");
        exit(2);
    }
    printf("tcp %u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    line = accept(listener, NULL, NULL);
    usleep(50000); /* a reader flushes its input just after it has connected */
    fcntl(line, F_SETFL, O_NONBLOCK);
}

/* During a measurement the host sends `time-request` of PROTOCOL.md, at moments that drift relative
 * to the packets. */
static avr_cycle_count_t host_byte(avr_t *unused, avr_cycle_count_t when, void *param)
{
    static const uint8_t request[] = {0x0B, 0x01, 0x10, 0xD4, 0xC3, 0xB2,
                                      0xA1, 0x17, 0xBC, 0x83, 0x57, 0x00};
    static size_t at;

    (void)unused;
    (void)param;
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT), request[at]);
    at = (at + 1) % sizeof request;
    return when + (at == 0 ? CLOCK_HZ / 10000u * 3713u : CLOCK_HZ / 11520u);
}

static void no_sleep(avr_t *unused, avr_cycle_count_t cycles)
{
    (void)unused;
    (void)cycles; /* run_in_real_time keeps the pace */
}

static void run_in_real_time(void)
{
    struct timespec began, now;
    uint64_t next_look = 0;

    clock_gettime(CLOCK_MONOTONIC, &began);
    while (avr->state != cpu_Done && avr->state != cpu_Crashed) {
        avr_run(avr);
        if (avr->cycle < next_look)
            continue;
        next_look = avr->cycle + CLOCK_HZ / 1000; /* each millisecond */
        for (;;) {
            uint8_t byte;
            double ahead;

            if (!line_full && read(line, &byte, 1) == 1)
                avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT), byte);
            clock_gettime(CLOCK_MONOTONIC, &now);
            ahead = (double)avr->cycle / CLOCK_HZ - (double)(now.tv_sec - began.tv_sec)
                    - 1e-9 * (double)(now.tv_nsec - began.tv_nsec);
            if (ahead <= 0.0)
                break;
            usleep((useconds_t)(ahead * 1e6) + 1);
        }
    }
}

static void load_waveform(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size;

    if (!file || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < (long)sizeof *wave) {
        fprintf(stderr, "simulate_avr: %s: no waveform file\n", path);
        exit(2);
    }
    rewind(file);
    wave = malloc((size_t)size);
    if (!wave || fread(wave, 1, (size_t)size, file) != (size_t)size || memcmp(wave->magic, "EQW1", 4)
        || (uint64_t)size < sizeof *wave + (uint64_t)wave->samples * wave->channels * 4) {
        fprintf(stderr, "simulate_avr: %s: no waveform file\n", path);
        exit(2);
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware = {0};
    uint32_t flags = 0;

    if (argc != 6 || elf_read_firmware(argv[1], &firmware) != 0) {
        fprintf(stderr, "usage: simulate_avr ELF uno|ads1256 WAVEFORM --tcp PORT|--measure S\n");
        return 2;
    }
    load_waveform(argv[3]);
    avr = avr_make_mcu_by_name("atmega328p");
    if (!avr)
        return 2;
    avr_init(avr);
    avr->log = LOG_ERROR;
    avr->frequency = CLOCK_HZ;
    avr->vcc = avr->avcc = 5000;
    firmware.frequency = CLOCK_HZ;
    avr_load_firmware(avr, &firmware);
    avr->sleep = no_sleep;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags); /* binary, not lines on the console */
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT),
                            uart_byte, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF),
                            uart_flow, &line_full);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON),
                            uart_flow, NULL);
    if (strcmp(argv[2], "ads1256") == 0) {
        ads1256_attach(avr, now_count);
    } else {
        avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_OUT_TRIGGER),
                                conversion_begins, NULL);
    }
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('B'), 0), 0);
    avr_cycle_timer_register(avr, CLOCK_HZ, pulse, avr);
    if (strcmp(argv[4], "--measure") == 0) {
        avr_cycle_timer_register(avr, CLOCK_HZ, host_byte, NULL);
        measure(avr, atof(argv[5]));
    } else {
        open_line((uint16_t)atoi(argv[5]));
        run_in_real_time();
    }
    return avr->state == cpu_Crashed;
}
