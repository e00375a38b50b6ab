/* SPDX-License-Identifier: Apache-2.0
 *
 * Both formats, to the byte, and which one is chosen.
 */
#include "admin/exposition.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/tap.h"

static const struct histogram_scale scale = {.bounds = {250, 1000, 2000}, .per_unit = 1000};

static char *written(enum exposition_format format, const struct metric *table, const struct snapshot *snapshot)
{
	static char text[8192];
	struct buffer out;
	buffer_init(&out, sizeof text - 1);
	CU_ASSERT_EQUAL_FATAL(exposition_write(format, table, snapshot, &out), 0);
	memcpy(text, out.data, out.len);
	text[out.len] = '\0';
	buffer_free(&out);
	return text;
}

static void expect(const char *is, const char *wanted)
{
	if (strcmp(is, wanted) != 0)
		printf("# wanted:\n%s\n# is:\n%s\n", wanted, is);
	CU_ASSERT_STRING_EQUAL(is, wanted);
}

static void test_numbers(void)
{
	static const struct metric table[] = {
		{"a_total", "Counted \\ \"so\"\nand so", NULL, METRIC_COUNTER, METRIC_ONCE, METRIC_U64,
			offsetof(struct snapshot, slow_turns)},
		{"b_bytes", "Free", "bytes", METRIC_GAUGE, METRIC_ONCE, METRIC_DOUBLE,
			offsetof(struct snapshot, disk_free)},
		{"c_bytes", "Not known", "bytes", METRIC_GAUGE, METRIC_ONCE, METRIC_DOUBLE,
			offsetof(struct snapshot, disk_size)},
		{"d", "Ready", NULL, METRIC_GAUGE, METRIC_ONCE, METRIC_BOOL, offsetof(struct snapshot, ready)},
		{"e_info", "Built", NULL, METRIC_INFO, METRIC_BUILD, METRIC_U64, 0},
		{0},
	};
	struct snapshot snapshot = {.slow_turns = UINT64_MAX, .disk_free = 1e15, .disk_size = NAN, .ready = true};
	expect(written(EXPOSITION_TEXT, table, &snapshot),
		"# HELP a_total Counted \\\\ \"so\"\\nand so.\n# TYPE a_total counter\na_total 18446744073709551615\n"
		"# HELP b_bytes Free.\n# TYPE b_bytes gauge\nb_bytes 1e+15\n"
		"# HELP c_bytes Not known.\n# TYPE c_bytes gauge\n"
		"# HELP d Ready.\n# TYPE d gauge\nd 1\n"
		"# HELP e_info Built.\n# TYPE e_info gauge\ne_info{version=\"" LINKSPAN_VERSION "\"} 1\n");
	expect(written(EXPOSITION_OPENMETRICS, table, &snapshot),
		"# HELP a Counted \\\\ \\\"so\\\"\\nand so.\n# TYPE a counter\na_total 18446744073709551615\n"
		"# HELP b_bytes Free.\n# TYPE b_bytes gauge\n# UNIT b_bytes bytes\nb_bytes 1e+15\n"
		"# HELP c_bytes Not known.\n# TYPE c_bytes gauge\n# UNIT c_bytes bytes\n"
		"# HELP d Ready.\n# TYPE d gauge\nd 1\n"
		"# HELP e Built.\n# TYPE e info\ne_info{version=\"" LINKSPAN_VERSION "\"} 1\n"
		"# EOF\n");
}

static void test_histogram(void)
{
	static const struct metric table[] = {
		{"h_seconds", "Times", "seconds", METRIC_HISTOGRAM, METRIC_SOURCE, METRIC_BUCKETS_AT,
			offsetof(struct snapshot_connection, figures.source.acknowledgement)},
		{0},
	};
	struct histogram histogram;
	histogram_init(&histogram, &scale);
	histogram_add(&histogram, 250, 2);
	histogram_add(&histogram, 1001, 1);
	histogram_add(&histogram, 9000, 1);
	struct snapshot_connection conn = {
		.figures = {.name = "a", .is_source = true, .used = true, .source.acknowledgement = &histogram}};
	struct snapshot snapshot = {.connections = &conn, .n_connections = 1};
	expect(written(EXPOSITION_TEXT, table, &snapshot),
		"# HELP h_seconds Times.\n# TYPE h_seconds histogram\n"
		"h_seconds_bucket{connection=\"a\",le=\"0.25\"} 2\nh_seconds_bucket{connection=\"a\",le=\"1\"} 2\n"
		"h_seconds_bucket{connection=\"a\",le=\"2\"} 3\nh_seconds_bucket{connection=\"a\",le=\"+Inf\"} 4\n"
		"h_seconds_sum{connection=\"a\"} 10.501\nh_seconds_count{connection=\"a\"} 4\n");
	expect(written(EXPOSITION_OPENMETRICS, table, &snapshot),
		"# HELP h_seconds Times.\n# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n"
		"h_seconds_bucket{connection=\"a\",le=\"0.25\"} 2\nh_seconds_bucket{connection=\"a\",le=\"1.0\"} 2\n"
		"h_seconds_bucket{connection=\"a\",le=\"2.0\"} 3\nh_seconds_bucket{connection=\"a\",le=\"+Inf\"} 4\n"
		"h_seconds_sum{connection=\"a\"} 10.501\nh_seconds_count{connection=\"a\"} 4\n# EOF\n");
}

/* Who has which sample, and labels that must be escaped. */
static void test_labels(void)
{
	static const struct metric table[] = {
		{"s_total", "S", NULL, METRIC_COUNTER, METRIC_SOURCE, METRIC_U64,
			offsetof(struct snapshot_connection, figures.source.taken)},
		{"d_total", "D", NULL, METRIC_COUNTER, METRIC_DESTINATION, METRIC_U64,
			offsetof(struct snapshot_connection, figures.destination.courier.sent)},
		{"c", "C", NULL, METRIC_GAUGE, METRIC_CONNECTION, METRIC_BOOL,
			offsetof(struct snapshot_connection, figures.link_is_up)},
		{0},
	};
	struct snapshot_connection conns[] = {
		{.figures = {.name = "in", .is_source = true, .used = true, .source.taken = 7}},
		{.figures = {.name = "o\\u\"t\n",
			 .is_destination = true,
			 .used = true,
			 .link_is_up = true,
			 .destination.courier.sent = 8}},
		{.figures = {.name = "idle"}},
	};
	struct snapshot snapshot = {.connections = conns, .n_connections = 3};
	expect(written(EXPOSITION_TEXT, table, &snapshot),
		"# HELP s_total S.\n# TYPE s_total counter\ns_total{connection=\"in\"} 7\n"
		"# HELP d_total D.\n# TYPE d_total counter\nd_total{destination=\"o\\\\u\\\"t\\n\"} 8\n"
		"# HELP c C.\n# TYPE c gauge\nc{connection=\"in\"} 0\nc{connection=\"o\\\\u\\\"t\\n\"} 1\n");
}

static void test_outcomes(void)
{
	static const struct metric table[] = {
		{"f_total", "F", NULL, METRIC_COUNTER, METRIC_OUTCOME, METRIC_U64,
			offsetof(struct snapshot_connection, figures.destination.finished)},
		{0},
	};
	struct snapshot_connection conn = {.figures = {.name = "d", .is_destination = true, .used = true}};
	for (size_t i = 0; i < JOURNAL_N_TOTALS; i++)
		conn.figures.destination.finished[i] = 10 + i;
	struct snapshot snapshot = {.connections = &conn, .n_connections = 1};
	char wanted[1024] = "# HELP f_total F.\n# TYPE f_total counter\n";
	for (size_t i = 0; i < JOURNAL_N_TOTALS; i++)
		snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted),
			"f_total{destination=\"d\",outcome=\"%s\"} %zu\n", journal_total_name((enum journal_total)i),
			10 + i);
	expect(written(EXPOSITION_TEXT, table, &snapshot), wanted);
}

/* Half an answer is none. */
static void test_no_room(void)
{
	static const struct metric table[] = {
		{"d", "Ready", NULL, METRIC_GAUGE, METRIC_ONCE, METRIC_BOOL, offsetof(struct snapshot, ready)},
		{0},
	};
	struct snapshot snapshot = {.ready = true};
	size_t whole = strlen(written(EXPOSITION_OPENMETRICS, table, &snapshot));
	for (size_t limit = 0; limit <= whole; limit++) {
		struct buffer out;
		buffer_init(&out, limit);
		CU_ASSERT_EQUAL(
			exposition_write(EXPOSITION_OPENMETRICS, table, &snapshot, &out), limit < whole ? -ENOBUFS : 0);
		buffer_free(&out);
	}
}

static void test_negotiation(void)
{
	static const struct {
		const char *accept;
		enum exposition_format format;
	} cases[] = {
		{NULL, EXPOSITION_TEXT},
		{"", EXPOSITION_TEXT},
		{"*/*", EXPOSITION_TEXT},
		{"text/html, */*;q=0.1", EXPOSITION_TEXT},
		{"text/plain", EXPOSITION_TEXT},
		{"application/openmetrics-text", EXPOSITION_OPENMETRICS},
		{"Application/OpenMetrics-Text; Version=\"1.0.0\"", EXPOSITION_OPENMETRICS},
		{"application/openmetrics-text; version=0.0.1", EXPOSITION_TEXT},
		{"application/openmetrics-text; version=2.0.0", EXPOSITION_TEXT},
		{"application/openmetrics-text;q=0", EXPOSITION_TEXT},
		{"application/openmetrics-text;q=0.0, text/plain;q=0", EXPOSITION_TEXT},
		{"application/openmetrics-text;q=nonsense", EXPOSITION_TEXT},
		{"text/plain, application/openmetrics-text;q=0.9", EXPOSITION_TEXT},
		{"text/plain;q=0.5 , application/openmetrics-text ; q=0.6", EXPOSITION_OPENMETRICS},
		{"text/plain,application/openmetrics-text", EXPOSITION_OPENMETRICS},
		{",,;;,=;q=,application/openmetrics-text", EXPOSITION_OPENMETRICS},
		{"application/openmetrics-text-but-not-quite", EXPOSITION_TEXT},
		/* Prometheus 2.42 and 3.0. */
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/"
		 "plain;version=0.0.4;q=0.5,*/*;q=0.1",
			EXPOSITION_OPENMETRICS},
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/"
		 "plain;version=0.0.4;q=0.2,*/"
		 "*;q=0.1",
			EXPOSITION_OPENMETRICS},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (exposition_negotiate(cases[i].accept) != cases[i].format)
			printf("# %s\n", cases[i].accept);
		CU_ASSERT_EQUAL(exposition_negotiate(cases[i].accept), cases[i].format);
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"numbers in both formats", test_numbers},
		{"a histogram in both formats", test_histogram},
		{"labels", test_labels},
		{"outcomes", test_outcomes},
		{"no room for all of it", test_no_room},
		{"what Accept asks for", test_negotiation},
		{NULL, NULL},
	};
	return tap_main("exposition", tests);
}
