/* SPDX-License-Identifier: Apache-2.0
 *
 * What each status means, and both forms of Retry-After.
 */
#include "connectors/http/out_verdict.h"
#include "tests/unit/tap.h"

static void test_statuses(void)
{
	static const struct {
		long from, to;
		enum http_verdict verdict;
	} table[] = {
		{0, 0, HTTP_AGAIN},
		{200, 299, HTTP_TAKEN},
		{300, 400, HTTP_REFUSED},
		{401, 401, HTTP_NO_ACCESS},
		{402, 402, HTTP_REFUSED},
		{403, 403, HTTP_NO_ACCESS},
		{404, 406, HTTP_REFUSED},
		{407, 407, HTTP_NO_ACCESS},
		{408, 409, HTTP_AGAIN},
		{410, 410, HTTP_GONE},
		{411, 424, HTTP_REFUSED},
		{425, 425, HTTP_AGAIN},
		{426, 428, HTTP_REFUSED},
		{429, 429, HTTP_AGAIN},
		{430, 499, HTTP_REFUSED},
		{500, 999, HTTP_AGAIN},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		for (long status = table[i].from; status <= table[i].to; status++) {
			CU_ASSERT_EQUAL(http_verdict_of(status, false), table[i].verdict);
			bool held = status == 429 || status == 503;
			CU_ASSERT_EQUAL(http_verdict_of(status, true), held ? HTTP_HOLD : table[i].verdict);
			CU_ASSERT_EQUAL(http_verdict_is_failure(status), status == 0 || status == 429 || status >= 500);
		}
	}
}

static void test_redirects(void)
{
	for (long status = 200; status < 600; status++)
		CU_ASSERT_EQUAL(http_verdict_is_redirect(status),
			status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

#define NOV_6 784111777 /* RFC 9110 §5.6.7 */

static void test_dates(void)
{
	static const struct {
		const char *text;
		int64_t s; /* -1: none */
	} table[] = {
		{"Sun, 06 Nov 1994 08:49:37 GMT", NOV_6},
		{"Sunday, 06-Nov-94 08:49:37 GMT", NOV_6},
		{"Sun Nov  6 08:49:37 1994", NOV_6},
		{"Wed Nov 16 08:49:37 1994", NOV_6 + 10 * 86400},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Thu, 29 Feb 2024 23:59:60 GMT", 1709251200},
		{"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200},
		{"Thu, 26 Nov 2026 05:30:13 GMT", 1795671013},
		{"Wednesday, 26-Nov-69 00:00:00 GMT", 3152649600},
		{"Wed, 31 Dec 2099 23:59:59 GMT", 4102444799},
		{"", -1},
		{"Sun, 06 Nov 1994 08:49:37", -1},
		{"Sun, 06 Nov 1994 08:49:37 CET", -1},
		{"Sun, 06 Nov 1994 24:00:00 GMT", -1},
		{"Sun, 32 Nov 1994 08:49:37 GMT", -1},
		{"Sun, 06 Now 1994 08:49:37 GMT", -1},
		{"Sun, 06 Nov 1969 08:49:37 GMT", -1},
		{"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
		{"sun, 06 nov 1994 08:49:37 gmt", -1},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		int64_t s = -1;
		CU_ASSERT_EQUAL(http_date(slice_str(table[i].text), &s), table[i].s >= 0);
		CU_ASSERT_EQUAL(s, table[i].s);
		if (s != table[i].s)
			printf("# %s: %lld\n", table[i].text, (long long)s);
	}
	int64_t s;
	CU_ASSERT_FALSE(http_date(slice_of(NULL, 0), &s));
}

static void check_wait(const char *value, const char *date, int64_t now_s, bool known, uint64_t ms)
{
	uint64_t wait_ms = 0;
	CU_ASSERT_EQUAL(http_retry_after(slice_str(value), slice_str(date), now_s, &wait_ms), known);
	CU_ASSERT_EQUAL(wait_ms, ms);
}

static void test_retry_after(void)
{
	const char *date = "Sun, 06 Nov 1994 08:49:37 GMT", *later = "Sun, 06 Nov 1994 08:51:37 GMT";
	check_wait("0", NULL, 0, true, 0);
	check_wait("120", NULL, 0, true, 120000);
	check_wait("86399", NULL, 0, true, 86399000);
	check_wait("86401", NULL, 0, true, HTTP_MAX_WAIT_MS);
	check_wait("99999999999999999999999999999999", NULL, 0, true, HTTP_MAX_WAIT_MS);
	check_wait(later, NULL, NOV_6, true, 120000);
	check_wait(later, date, 1, true, 120000); /* by the receiver's clock, however wrong ours is */
	check_wait(later, "nonsense", NOV_6 + 60, true, 60000);
	check_wait(date, later, 1, true, 0);
	check_wait("Wed, 31 Dec 2099 23:59:59 GMT", NULL, NOV_6, true, HTTP_MAX_WAIT_MS);
	check_wait(NULL, NULL, 0, false, 0);
	check_wait("", NULL, 0, false, 0);
	check_wait("-1", NULL, 0, false, 0);
	check_wait("1.5", NULL, 0, false, 0);
	check_wait("soon", NULL, 0, false, 0);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"what each status means", test_statuses},
		{"which statuses lead elsewhere", test_redirects},
		{"the three forms of a date, and what is none", test_dates},
		{"Retry-After: seconds, a date, and neither", test_retry_after},
		{NULL, NULL},
	};
	return tap_main("http verdict", tests);
}
