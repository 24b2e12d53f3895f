/* test_table: columns line up, nothing is wider than asked, scripts get tabs. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/table.h"

static void fill(struct table *t)
{
    table_column(t, "NAME", TABLE_LEFT);
    table_column(t, "GIB", TABLE_RIGHT);
    table_column(t, "NOTE", TABLE_LEFT);
    table_cell(t, "first");
    table_cellf(t, "%.2f", 7.5);
    table_cell(t, "fits on one card with room to spare");
    table_cell(t, "second model");
    table_cellf(t, "%.2f", 39.6);
    table_cell(t, NULL);
}

static void columns_line_up(void **state)
{
    own(own_table) struct table t = {0};
    own(own_str) struct str out = {0};
    fill(&t);
    table_write(&t, &(struct table_style){0}, &out);
    assert_string_equal(out.data, "NAME            GIB  NOTE\n"
                                  "first          7.50  fits on one card with room to spare\n"
                                  "second model  39.60  -\n");
}

static void the_last_text_column_gives_way(void **state)
{
    own(own_table) struct table t = {0};
    own(own_str) struct str out = {0};
    fill(&t);
    table_write(&t, &(struct table_style){.width = 40}, &out);
    assert_string_equal(out.data, "NAME            GIB  NOTE\n"
                                  "first          7.50  fits on one card w\xe2\x80\xa6\n"
                                  "second model  39.60  -\n");
    str_finish(&out);
    table_write(&t, &(struct table_style){.width = 40, .ascii = true, .no_heading = true}, &out);
    assert_string_equal(out.data, "first          7.50  fits on one card...\n"
                                  "second model  39.60  -\n");
}

static void nothing_is_wider_than_asked(void **state)
{
    own(own_table) struct table t = {0};
    table_column(&t, "PATH", TABLE_LEFT);
    table_column(&t, "A", TABLE_RIGHT);
    table_column(&t, "\xe5\x90\x8d", TABLE_LEFT);
    table_column(&t, "B", TABLE_RIGHT);
    for (int row = 0; row < 20; row++) {
        table_cellf(&t, "/models/%0*d.gguf", row * 5, row);
        table_cellf(&t, "%d", 1 << row);
        table_cell(&t,
                   row % 2 ? "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac" : "x");
        table_cellf(&t, "%d", row);
    }
    for (int width = 1; width < 130; width++) {
        own(own_str) struct str out = {0};
        table_write(&t, &(struct table_style){.width = width, .ascii = width % 2}, &out);
        char *save, *line = strtok_r(out.data, "\n", &save);
        for (; line; line = strtok_r(NULL, "\n", &save)) {
            assert_true((int)str_columns(line) <= width);
            assert_int_not_equal(line[strlen(line) - 1], ' ');
        }
    }
}

static void scripts_get_tabs(void **state)
{
    own(own_table) struct table t = {0};
    own(own_str) struct str out = {0};
    fill(&t);
    table_cell(&t, "odd\tname\n");
    table_cell(&t, "1");
    table_cell(&t, "");
    table_write(&t, &(struct table_style){.plain = true, .width = 10}, &out);
    assert_string_equal(out.data, "first\t7.50\tfits on one card with room to spare\n"
                                  "second model\t39.60\t-\n"
                                  "odd\\x09name\\x0A\t1\t-\n");
}

static void rows_may_be_indented(void **state)
{
    own(own_table) struct table t = {0};
    own(own_str) struct str out = {0};
    table_column(&t, "A", TABLE_RIGHT);
    table_column(&t, "B", TABLE_LEFT);
    table_cell(&t, "10");
    table_cell(&t, "x");
    table_cell(&t, "a row without its end is not shown");
    table_write(&t, &(struct table_style){.indent = 2}, &out);
    assert_string_equal(out.data, "   A  B\n  10  x\n");
}

static void an_empty_table_shows_its_heading(void **state)
{
    own(own_table) struct table t = {0};
    own(own_str) struct str out = {0};
    table_write(&t, &(struct table_style){0}, &out);
    assert_null(out.data);
    table_column(&t, "NAME", TABLE_LEFT);
    table_write(&t, &(struct table_style){0}, &out);
    assert_string_equal(out.data, "NAME\n");
}

/* Each text goes on below itself, numbers stand in the first line only. */
static void texts_go_on_below(void **state)
{
    (void)state;
    own(own_table) struct table t = {0};
    own(own_str) struct str out = {0};
    struct table_style style = {.width = 40, .indent = 2, .wrap = true};
    table_column(&t, "change", TABLE_LEFT);
    table_column(&t, "tok/s", TABLE_RIGHT);
    table_column(&t, "price", TABLE_LEFT);
    table_cell(&t, "one");
    table_cell(&t, "7");
    table_cell(&t, "speed: the processor works along with it");
    table_cell(&t, "two");
    table_cell(&t, "12");
    table_cell(&t, "none");
    table_write(&t, &style, &out);
    assert_string_equal(out.data, "  change  tok/s  price\n"
                                  "  one         7  speed: the processor\n"
                                  "                 works along with it\n"
                                  "  two        12  none\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(the_last_text_column_gives_way),
        cmocka_unit_test(nothing_is_wider_than_asked),
        cmocka_unit_test(scripts_get_tabs),
        cmocka_unit_test(rows_may_be_indented),
        cmocka_unit_test(texts_go_on_below),
        cmocka_unit_test(an_empty_table_shows_its_heading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
