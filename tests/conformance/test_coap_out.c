/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of the CoAP connector as a client that writes: to a device over UDP (coap_device.h) that can be silent and gone.
 * What it has answered with 2.04 has arrived.
 */
#include <stdint.h>
#include <stdio.h>

#include "connectors/coap/coap.h"
#include "connectors/coap/settings.h"
#include "tests/conformance/coap_device.h"
#include "tests/conformance/peer.h"

static struct coap_device *device;
static char url[80];
static struct coap_settings settings;

static void write_url(const char *key)
{
	snprintf(url, sizeof url, "coap://127.0.0.1:%d/hooks/?key=%s", coap_device_port(device), key);
}

static void coap_begin(void)
{
	device = coap_device_new();
	write_url("right");
	settings = (struct coap_settings){
		.url = url,
		.out =
			{
				.timeout_ms = 20000,
				.concurrency = 8,
				.block_size = 6,
				.transmission = {.ack_timeout_ms = 1000, .max_retransmit = 4, .nstart = 4},
				.max_response = 65536,
				.max_peers = 4,
			},
	};
}

static void coap_end(void)
{
	coap_device_free(device);
}

static const void *coap_settings(void)
{
	return &settings;
}

static const void *coap_wrong_credentials(void)
{
	write_url("wrong");
	return &settings;
}

static void set(bool silent, bool gone)
{
	struct coap_manners manners = coap_device_well();
	manners.silent = silent;
	manners.gone = gone;
	coap_device_set(device, &manners);
}

static void coap_lose(void)
{
	set(false, true);
}

static void coap_find(void)
{
	set(false, false);
}

static void coap_slow(void)
{
	set(true, false);
}

static const struct arrivals *coap_arrived(void)
{
	return coap_device_arrived(device);
}

int main(void)
{
	static const struct peer peer = {
		.name = "conformance coap out",
		.connector = &coap_connector,
		.begin = coap_begin,
		.end = coap_end,
		.settings = coap_settings,
		.wrong_credentials = coap_wrong_credentials,
		.lose = coap_lose,
		.find = coap_find,
		.slow = coap_slow,
		.target = "/in",
		.max_payload = 300000,
		.qos = 1,
		.arrived = coap_arrived,
		.sessionless = true,
	};
	return conformance_main(&peer);
}
