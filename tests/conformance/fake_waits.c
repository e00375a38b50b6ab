/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests wait for with a fake host (fake_host.h), each by fake_host_run_until.
 */
#include "tests/conformance/fake_host.h"

static bool is_up(void *arg)
{
	return ((struct fake_host *)arg)->up;
}

static bool is_ended(void *arg)
{
	struct fake_host *fake = arg;
	return fake->n_ended == fake->n_deliveries;
}

static bool has_alarm(void *arg)
{
	return ((struct fake_host *)arg)->alarms > 0;
}

static bool is_stopped(void *arg)
{
	return ((struct fake_host *)arg)->stops > 0;
}

struct offers_wanted {
	struct fake_host *fake;
	size_t n;
};

static bool has_offers(void *arg)
{
	struct offers_wanted *wanted = arg;
	return wanted->fake->n_offers >= wanted->n;
}

bool fake_host_run_until_up(struct fake_host *fake)
{
	return fake_host_run_until(fake, is_up, fake);
}

bool fake_host_run_until_ended(struct fake_host *fake)
{
	return fake_host_run_until(fake, is_ended, fake);
}

bool fake_host_run_until_alarm(struct fake_host *fake)
{
	return fake_host_run_until(fake, has_alarm, fake);
}

bool fake_host_run_until_offers(struct fake_host *fake, size_t n)
{
	struct offers_wanted wanted = {fake, n};
	return fake_host_run_until(fake, has_offers, &wanted);
}

bool fake_host_stop(struct fake_host *fake)
{
	fake->connector->stop(fake->link, 1000);
	return fake_host_run_until(fake, is_stopped, fake);
}
