/* SPDX-License-Identifier: Apache-2.0
 *
 * The table keeps the conventions of Prometheus, and the dashboard and the alert rules in doc/ use nothing that it does
 * not have.
 */
#include "admin/metric.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "tests/unit/tap.h"

static bool ends_in(const char *text, size_t len, const char *end)
{
	return len >= strlen(end) && memcmp(text + len - strlen(end), end, strlen(end)) == 0;
}

static void check_name(const struct metric *metric)
{
	size_t len = strlen(metric->name);
	bool counter = ends_in(metric->name, len, "_total");
	CU_ASSERT_EQUAL(counter, metric->type == METRIC_COUNTER);
	CU_ASSERT_EQUAL(ends_in(metric->name, len, "_info"), metric->type == METRIC_INFO);
	len -= counter ? strlen("_total") : 0;
	bool seconds = ends_in(metric->name, len, "_seconds"), bytes = ends_in(metric->name, len, "_bytes");
	CU_ASSERT_EQUAL(seconds, metric->unit && strcmp(metric->unit, "seconds") == 0);
	CU_ASSERT_EQUAL(bytes, metric->unit && strcmp(metric->unit, "bytes") == 0);
	CU_ASSERT(strncmp(metric->name, "linkspan_", 9) == 0 || strncmp(metric->name, "process_", 8) == 0);
	CU_ASSERT_EQUAL(strspn(metric->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(metric->name));
}

static void test_conventions(void)
{
	size_t n = 0;
	for (const struct metric *metric = metrics; metric->name; metric++, n++) {
		check_name(metric);
		CU_ASSERT(strlen(metric->help) > 10 && !ends_in(metric->help, strlen(metric->help), "."));
		CU_ASSERT(metric->type != METRIC_HISTOGRAM || metric->value >= METRIC_BUCKETS);
		for (const struct metric *other = metrics; other < metric; other++)
			CU_ASSERT_STRING_NOT_EQUAL(metric->name, other->name);
	}
	CU_ASSERT(n > 40);
}

/* Words of its samples: a histogram's have a suffix. */
static bool is_sample(const char *word, size_t len)
{
	static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
	for (const struct metric *metric = metrics; metric->name; metric++) {
		size_t n = strlen(metric->name);
		if (len < n || memcmp(word, metric->name, n) != 0)
			continue;
		if (metric->type != METRIC_HISTOGRAM && len == n)
			return true;
		for (size_t i = 0; i < 3 && metric->type == METRIC_HISTOGRAM; i++)
			if (len == n + strlen(suffixes[i]) && memcmp(word + n, suffixes[i], len - n) == 0)
				return true;
	}
	return false;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static char *read_doc(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[512], *text = NULL;
	size_t len = 0;
	snprintf(path, sizeof path, "%s/doc/%s", srcdir ? srcdir : ".", name);
	FILE *file = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	ssize_t n = getdelim(&text, &len, '\0', file);
	CU_ASSERT_FATAL(n > 0);
	fclose(file);
	return text;
}

/* How many names of metrics stand in a file; each must be one. */
static size_t check_names_in(const char *name)
{
	size_t found = 0;
	char *text = read_doc(name);
	for (const char *at = text; *at;) {
		size_t len = 0;
		while (is_word(at[len]))
			len++;
		bool ours = strncmp(at, "linkspan_", 9) == 0 || strncmp(at, "process_", 8) == 0;
		if (ours && !is_sample(at, len)) {
			printf("# %s: there is no %.*s\n", name, (int)len, at);
			CU_FAIL("a name that no metric has");
		}
		found += ours;
		at += len ? len : 1;
	}
	free(text);
	return found;
}

static void test_documents(void)
{
	CU_ASSERT(check_names_in("grafana-dashboard.json") > 20);
	CU_ASSERT(check_names_in("alerts.yml") > 10);
}

/* Values of labels that alerts and dashboard choose by. */
static void check_outcomes_in(const char *name)
{
	char *text = read_doc(name);
	size_t found = 0;
	for (const char *at = text; (at = strstr(at, "outcome=")); found++) {
		at += strcspn(at, "\"") + 1; /* outcome=~"a|b" or outcome=\"a\" */
		while (*at && *at != '"' && *at != '\\') {
			size_t len = strcspn(at, "|\"\\");
			bool known = false;
			for (int i = 0; i < JOURNAL_N_TOTALS; i++) {
				const char *word = journal_total_name((enum journal_total)i);
				known |= len == strlen(word) && memcmp(at, word, len) == 0;
			}
			if (!known)
				printf("# %s: there is no outcome %.*s\n", name, (int)len, at);
			CU_ASSERT(known);
			at += len + (at[len] == '|');
		}
	}
	CU_ASSERT(found > 0);
	free(text);
}

static void test_outcomes(void)
{
	check_outcomes_in("grafana-dashboard.json");
	check_outcomes_in("alerts.yml");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"names, units and help", test_conventions},
		{"dashboard and alerts use only what there is", test_documents},
		{"and outcomes that there are", test_outcomes},
		{NULL, NULL},
	};
	return tap_main("metrics", tests);
}
