#include "tests/unit/tap.h"
int main(void)
{
	static const struct tap_test tests[] = {{NULL, NULL}};
	return tap_main("http cloudevent", tests);
}
