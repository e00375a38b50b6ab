/* SPDX-License-Identifier: Apache-2.0
 *
 * `linkspan run`: the daemon in the foreground. Loads the configuration, opens the bridge, runs the loop until a signal
 * or a failed journal ends it. Signals: SIGTERM and SIGINT stop cleanly, the second one at once; SIGUSR1 logs the status
 * of every source and destination; SIGHUP has certificates, keys, tokens and the configuration read again.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "admin/admin.h"
#include "cli/command.h"
#include "config/config.h"
#include "config/guarantee.h"
#include "connectors/connector.h"
#include "runtime/bridge.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/notify.h"

#define MAX_DROPS 64

struct run_options {
	const char *config_path;
	const char *drop[MAX_DROPS + 1];
	size_t n_drop;
	bool drain;
	int log_level; /* -1 = as configured */
};

struct daemon {
	struct loop *loop;
	struct bridge *bridge;
	struct admin *admin; /* NULL: no listener */
	struct loop_timer *watchdog;
	uint64_t watchdog_ms;
	uv_signal_t signals[4];
	int stopping; /* signals heard that ask to stop */
	unsigned reloads_underway; /* by SIGHUP */
	unsigned long reloads;
	int log_level; /* -1 = as configured */
};

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
#define N_SIGNALS (sizeof signal_numbers / sizeof signal_numbers[0])

const struct cli_option cli_run_options[] = {
	{.name = "drop",
		.code = 'd',
		.value = CLI_CONNECTION,
		.repeats = true,
		.help = "throw away what waits for a destination that is gone"},
	{.name = "drain", .code = 'D', .help = "deliver what waits for destinations that are gone"},
	{.name = "log-level",
		.code = 'l',
		.value = CLI_CHOICE,
		.choices = "error warn info debug",
		.help = "instead of what the file says"},
	{.name = "list-failpoints", .code = 'F', .help = "print what LINKSPAN_FAILPOINT takes"},
	{.name = NULL},
};

static void print_help(void)
{
	printf("usage: linkspan run [OPTION...] CONFIG\n\n"
	       "Runs the bridge in the foreground until SIGTERM or SIGINT. SIGHUP has it read the file again (linkspan "
	       "reload\n"
	       "says what comes of it).\n\n"
	       "  --drop NAME         throw away what waits for destination NAME, which the file no longer writes to\n"
	       "  --drain             deliver what waits for destinations that the file no longer writes to\n"
	       "  --log-level LEVEL   error, warn, info or debug, instead of what the file says\n"
	       "  --list-failpoints   print the names that LINKSPAN_FAILPOINT takes in crash tests\n");
}

static int list_failpoints(void)
{
	size_t n;
	const char *const *names = failpoint_names(&n);
	for (size_t i = 0; i < n; i++)
		puts(names[i]);
	return 0;
}

static int parse_level(const char *text)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	for (int i = 0; i < 4; i++)
		if (strcmp(text, names[i]) == 0)
			return i;
	return -1;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct run_options *options)
{
	int c;
	while ((c = cli_next_option(argc, argv, cli_run_options)) != -1) {
		if (c == 'd' && options->n_drop < MAX_DROPS) {
			options->drop[options->n_drop++] = optarg;
		} else if (c == 'D') {
			options->drain = true;
		} else if (c == 'l' && (options->log_level = parse_level(optarg)) < 0) {
			fprintf(stderr, "linkspan run: --log-level takes error, warn, info or debug, not '%s'\n",
				optarg);
			return 2;
		} else if (c == 'F') {
			return list_failpoints();
		} else if (c == 'h') {
			print_help();
			return 0;
		} else if (c == '?' || c == 'd') {
			return 2;
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "linkspan run: takes one configuration file (linkspan run --help)\n");
		return 2;
	}
	options->config_path = argv[optind];
	return -1;
}

/* --- the running daemon ---------------------------------------------------------------------------------------------- */

static void tell_reloading(void)
{
	char state[64];
	/* sd_notify(3) asks for the time, so that its answer cannot be taken for an earlier one's. */
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
	notify_systemd(state);
}

/* What is wrong has been logged, line by line. */
static void on_reload_done(void *ctx, const struct reload_result *result)
{
	struct daemon *d = ctx;
	d->reloads_underway--;
	if (!result->applied)
		log_error("reload_failed",
			"request=%lu what=\"%s; certificates, keys and tokens have been read again all the same\"",
			++d->reloads, result->summary);
	if (d->reloads_underway == 0)
		notify_systemd("READY=1");
}

static void reload(struct daemon *d)
{
	struct reload_order order = {.done = on_reload_done, .ctx = d};
	if (d->reloads_underway > 1)
		return; /* one waits that has not begun to read */
	tell_reloading();
	int r = bridge_reload(d->bridge, &order);
	if (r == 0)
		d->reloads_underway++;
	else if (d->reloads_underway == 0)
		notify_systemd("READY=1");
	if (r < 0 && r != -ESHUTDOWN)
		log_error("reload_failed", "request=%lu what=\"%s\"", ++d->reloads, strerror(-r));
}

/* By whoever asked for it. The numbers keep it from being taken for a repeat of the last one. */
static void on_reloaded(void *ctx, const struct config *config)
{
	struct daemon *d = ctx;
	if (d->log_level < 0)
		log_set_level((enum log_level)config->log.level);
	log_info("reloaded",
		"request=%lu connections=%zu mappings=%zu what=\"certificates, keys, tokens and the configuration have "
		"been "
		"read again\"",
		++d->reloads, config->n_connections, config->n_mappings);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *d = handle->data;
	if (number == SIGUSR1) {
		bridge_log_status(d->bridge);
		return;
	}
	if (number == SIGHUP) {
		reload(d);
		return;
	}
	if (d->stopping++) {
		log_warn("stopping_at_once", "signal=%d", number);
		_exit(128 + number);
	}
	log_info("stopping", "signal=%d", number);
	notify_systemd("STOPPING=1");
	bridge_stop(d->bridge);
}

static void on_bridge_stopped(void *ctx)
{
	struct daemon *d = ctx;
	loop_stop(d->loop);
}

static void on_watchdog(void *arg)
{
	struct daemon *d = arg;
	notify_systemd("WATCHDOG=1");
	loop_timer_start(d->watchdog, d->watchdog_ms);
}

/* The soft limit is low for the sake of programs that use select(2); nothing here does. */
static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("descriptors", "soft_limit=%llu error=\"%s\"", (unsigned long long)limit.rlim_cur,
			strerror(errno));
}

static void watch_signals(struct daemon *d)
{
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < N_SIGNALS; i++) {
		uv_signal_init(loop_uv(d->loop), &d->signals[i]);
		d->signals[i].data = d;
		uv_signal_start(&d->signals[i], on_signal, signal_numbers[i]);
		uv_unref((uv_handle_t *)&d->signals[i]);
	}
}

static void unwatch_signals(struct daemon *d)
{
	for (size_t i = 0; i < N_SIGNALS; i++)
		uv_close((uv_handle_t *)&d->signals[i], NULL);
}

/* What is connected to what, with which guarantee. */
static void announce(const struct config *config)
{
	for (size_t m = 0; m < config->n_mappings; m++) {
		const struct mapping_config *map = &config->mappings[m];
		char *filter = config_filter_as_written(config, map, 0);
		for (size_t t = 0; t < map->n_targets; t++)
			log_info("mapping", "name=%s from=%s topic=\"%s\" to=%s target=\"%s\" guarantee=%s", map->name,
				config->connections[map->from_connection].name, filter,
				config->connections[map->targets[t].connection].name,
				map->targets[t].target ? map->targets[t].target : "{topic}",
				guarantee_name(mapping_guarantee(config, map, &map->targets[t])));
		free(filter);
	}
}

static int open_and_run(struct daemon *d, const struct bridge_options *options)
{
	int r = bridge_open(options, &d->bridge);
	if (r < 0) {
		log_error("start_failed", "error=\"%s\"", strerror(-r));
		return 1;
	}
	admin_show(d->admin, d->bridge);
	raise_descriptors();
	watch_signals(d);
	d->watchdog_ms = notify_watchdog_ms();
	if (d->watchdog_ms)
		on_watchdog(d);
	announce(options->config);
	bridge_start(d->bridge);
	log_info("started", "version=%s data_dir=%s pid=%d", LINKSPAN_VERSION, options->config->data_dir, getpid());
	notify_systemd("READY=1");
	loop_run(d->loop);
	bridge_log_status(d->bridge);
	admin_close(d->admin);
	d->admin = NULL;
	r = bridge_close(d->bridge);
	unwatch_signals(d);
	log_info("stopped", "result=%s", r < 0 ? strerror(-r) : "clean");
	return r < 0 ? 1 : 0;
}

static int run_daemon(const struct run_options *options, const struct config *config, struct disk *disk)
{
	struct daemon d = {.loop = loop_new(), .log_level = options->log_level};
	if (!d.loop || !(d.watchdog = loop_timer_new(d.loop, on_watchdog, &d))) {
		log_error("start_failed", "error=\"out of memory or of file descriptors\"");
		return 1;
	}
	struct bridge_options bridge = {
		.config = config,
		.loop = d.loop,
		.disk = disk,
		.drop = options->drop,
		.drain = options->drain,
		.config_path = options->config_path,
		.on_reloaded = on_reloaded,
		.on_stopped = on_bridge_stopped,
		.ctx = &d,
	};
	int status = 1;
	if (admin_open(d.loop, config, disk, &d.admin) == 0)
		status = open_and_run(&d, &bridge);
	admin_close(d.admin);
	loop_timer_free(d.watchdog);
	loop_free(d.loop);
	return status;
}

int cli_run(int argc, char **argv)
{
	struct run_options options = {.log_level = -1};
	int status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;
	/* Until the loop listens to them. */
	signal(SIGUSR1, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	failpoint_init();
	struct config *config;
	if (config_load(options.config_path, stderr, &config, NULL) < 0)
		return 1;
	log_set_level(options.log_level >= 0 ? (enum log_level)options.log_level : (enum log_level)config->log.level);
	if (failpoint_armed)
		log_warn("failpoint_armed", "what=\"LINKSPAN_FAILPOINT is set: this process will kill itself\"");
	struct disk *disk = disk_posix_new(config->data_dir);
	if (!disk) {
		log_error("data_dir",
			"path=%s error=\"%s\" what=\"create the folder, or name one that linkspan may write to\"",
			config->data_dir, strerror(errno));
		status = 1;
	} else {
		status = run_daemon(&options, config, disk);
		disk_posix_free(disk);
	}
	config_free(config);
	return status;
}
