//! The syncs of a file.

use super::*;

#[test]
fn date_parameters_need_whole_days() {
    for (from, to) in [
        ("step: 2 days", "step: 36 hours"),
        ("reach: 1 day", "reach: 90 minutes"),
        ("retention: 90 days", "retention: 1 hour"),
    ] {
        refused(from, to, &["must be whole days"]);
    }
    refused("step: 2 days", "step: a while", &["is not a duration"]);
}

#[test]
fn a_window_needs_a_timestamp_column() {
    refused(
        "column: changed",
        "column: total",
        &[
            "25: syncs.shop-orders.window.column",
            "of type timestamp; it is decimal",
        ],
    );
    refused("column: changed", "column: sold", &["unknown column \"sold\""]);
}

#[test]
fn key_filters_and_order_must_be_declared_and_of_the_right_type() {
    let key = problems("key: id", "key: total");
    assert!(
        key[0].starts_with("22: ") && key[0].contains("must be of type text; \"total\" is decimal"),
        "{key:#?}"
    );
    assert!(key[1].contains("no value for ${record.id}"), "{key:#?}");
    refused(
        "filters: [state]",
        "filters: [colour]",
        &["34: syncs.shop-orders.filters.0", "unknown column \"colour\""],
    );
    refused(
        "    filters: [state]",
        "      colours: json\n    filters: [colours]",
        &["\"colours\" is a column of type json, which cannot be filtered"],
    );
    refused(
        "newest_by: [changed]",
        "newest_by: [total]",
        &["24: ", "must be a column of type timestamp"],
    );
    refused(
        "state: [open]",
        "colour: [red]",
        &["27: ", "unknown column \"colour\""],
    );
}

#[test]
fn a_column_has_a_parser_of_its_type() {
    refused(
        "total: decimal",
        "total: { type: decimal, parse: rfc2822 }",
        &["32: ", "only for columns of type timestamp"],
    );
    refused(
        "parse: unix_seconds",
        "parse: plain",
        &["33: ", "a timestamp is written as"],
    );
    refused("total: decimal", "_total: decimal", &["32: ", "begin with _"]);
    refused("total: decimal", "Total: decimal", &["32: ", "lower-case"]);
}

#[test]
fn names_that_lists_and_variants_use_are_reserved() {
    refused(
        "table: shop_orders",
        "table: shop__orders",
        &["must not hold two _ in a row"],
    );
    for name in ["variant", "limit"] {
        let columns = format!("      total: decimal\n      {name}: text\n    filters: [state, {name}]\n");
        let rest = "      total: decimal\n      changed: { type: timestamp, parse: unix_seconds, path: dates.changed }\n    filters: [state]\n";
        let dated = columns.replacen(
            "    filters",
            "      changed: { type: timestamp, parse: unix_seconds, path: dates.changed }\n    filters",
            1,
        );
        refused(rest, &dated, &["is a parameter of every list"]);
    }
}

#[test]
fn a_list_declares_its_pagination() {
    let paginate =
        "    paginate: { type: cursor, cursor_name_in_request: after, cursor_path_in_response: next }\n";
    refused(paginate, "", &["14: syncs.shop-orders: there is no \"paginate\""]);
    refused("type: cursor", "type: link", &["21: ", "type link needs"]);
    refused(
        "type: cursor",
        "type: offset",
        &["21: ", "\"offset_name_in_request\""],
    );
    refused(
        ", cursor_path_in_response: next",
        "",
        &["21: ", "type cursor needs"],
    );
}

#[test]
fn a_reread_declares_how_to_request_a_record() {
    refused(
        "/orders/${record.id}",
        "/orders",
        &["27: ", "must hold ${record.id}"],
    );
}

#[test]
fn a_sync_runs_either_by_interval_or_by_cron() {
    refused(
        "runs: every 10 minutes",
        "runs: sometimes",
        &["18: ", "write \"every 5 minutes\""],
    );
    refused(
        "runs: every 10 minutes",
        "runs: every 10 minutes\n    cron: \"* * * * *\"",
        &["14: ", "either \"runs\""],
    );
    refused(
        "runs: every 10 minutes",
        "runs: every 10 minutes\n    timezone: UTC",
        &["19: ", "goes with \"cron\" alone"],
    );
    refused(
        "runs: every 10 minutes",
        "cron: \"99 * * * *\"",
        &["18: ", "is not a cron expression"],
    );
    assert_eq!(
        problems(
            "runs: every 10 minutes",
            "cron: \"*/5 * * * *\"\n    timezone: Europe/Berlin"
        ),
        Vec::<String>::new()
    );
}

#[test]
fn keys_that_need_a_window_are_refused_without_one() {
    let window = "    window: { column: changed, from: since, to: until, format: date, inclusive: lower, step: 2 days, retention: 90 days }\n";
    let problems = problems(window, "");
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(
        problems
            .iter()
            .all(|problem| problem.contains("goes with \"window\" alone"))
    );
}

#[test]
fn a_window_needs_to_know_its_bounds_or_the_order_of_the_list() {
    refused("format: date, inclusive", "inclusive", &["\"format\" is missing"]);
    refused("inclusive: lower, ", "", &["\"inclusive\" is missing"]);
    refused(
        "from: since, to: until, ",
        "to: until, ",
        &["goes with \"from\" alone"],
    );
    refused(
        "from: since, to: until, format: date, inclusive: lower, step: 2 days,",
        "",
        &["needs \"from\", or \"order: newest_first\""],
    );
    refused(
        "to: until, format: date, inclusive: lower, step: 2 days,",
        "format: date, longest: 30 days,",
        &["longest", "goes with \"to\" alone"],
    );
    refused(
        "to: until, format: date, inclusive: lower, step: 2 days,",
        "format: date, beyond_retention: { code: old },",
        &["beyond_retention", "goes with \"to\" alone"],
    );
    refused("step: 2 days,", "longest: 36 hours,", &["must be whole days"]);
    let since = problems(
        "to: until, format: date, inclusive: lower, step: 2 days,",
        "format: date_time,",
    );
    assert_eq!(since, Vec::<String>::new());
}

#[test]
fn a_list_in_order_needs_no_bounds() {
    let ordered = SHOP
        .replace("order: oldest_first", "order: newest_first")
        .replace(
            "from: since, to: until, format: date, inclusive: lower, step: 2 days, ",
            "",
        );
    assert_ne!(ordered, SHOP);
    let checked = check("shop.yaml", &ordered).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(checked[0].syncs.len(), 1);
}

#[test]
fn a_lookback_is_no_wider_than_the_range_that_the_provider_accepts() {
    let widest = SHOP.replace("step: 2 days,", "longest: 10 days,");
    let reaching = |reach: &str| widest.replace("reach: 1 day", &format!("reach: {reach}"));
    assert!(check("shop.yaml", &reaching("10 days")).is_ok());
    let reported = check("shop.yaml", &reaching("11 days")).unwrap_err().to_string();
    assert!(
        reported.contains("lookback.0.reach") && reported.contains("longer than the window's \"longest\""),
        "{reported}"
    );
}

#[test]
fn a_parameter_next_to_a_link_needs_its_relation() {
    let cursor = "{ type: cursor, cursor_name_in_request: after, cursor_path_in_response: next }";
    refused(
        cursor,
        "{ type: link, link_path_in_response_body: next, link_more_in_response_header: results }",
        &[
            "link_more_in_response_header",
            "goes with \"link_rel_in_response_header\" alone",
        ],
    );
    let beside = "{ type: link, link_rel_in_response_header: next, link_more_in_response_header: results }";
    assert_eq!(problems(cursor, beside), Vec::<String>::new());
}

#[test]
fn a_window_needs_a_lookback() {
    let reported = &problems("    lookback: { reach: 1 day }\n", "");
    assert_eq!(reported.len(), 1, "{reported:#?}");
    assert!(reported[0].contains("required with \"window\""), "{reported:#?}");
}

#[test]
fn a_reread_condition_is_on_a_text_column() {
    refused(
        "where: { state: [open] }",
        "where: { total: [open] }",
        &["total", "must be a column of type text"],
    );
}

#[test]
fn models_of_a_provider_differ_by_name_and_plural() {
    let second = SHOP
        .split_at(SHOP.find("  shop-orders:").unwrap())
        .1
        .replace("shop-orders", "shop-more")
        .replace("shop_orders", "shop_more");
    let same = check("shop.yaml", &format!("{SHOP}{second}"))
        .unwrap_err()
        .to_string();
    assert!(same.contains("has the model Order too"), "{same}");
    let plural = check(
        "shop.yaml",
        &format!(
            "{SHOP}{}",
            second.replace("model: Order", "model: Ordering\n    plural: orders")
        ),
    )
    .unwrap_err();
    assert!(
        plural.to_string().contains("is called \"orders\" too"),
        "{plural}"
    );
}

#[test]
fn a_plural_cannot_be_the_name_of_a_common_route() {
    for plural in registry::RESERVED_BELOW {
        let text = SHOP.replace("model: Order", &format!("model: Order\n    plural: {plural}"));
        let refused = check("shop.yaml", &text).unwrap_err().to_string();
        assert!(
            refused.contains("plural") && refused.contains("is a route of Trunkline itself"),
            "{refused}"
        );
    }
}

#[test]
fn syncs_and_tables_are_unique_among_all_providers() {
    let text = SHOP
        .replace("shop-orders", "twilio-messages")
        .replace("shop_orders", "twilio_messages");
    let error = check("shop.yaml", &text).unwrap_err().to_string();
    assert!(
        error.contains("has a sync of this name too") && error.contains("is the table of the sync"),
        "{error}"
    );
}

#[test]
fn limits_of_a_list_fit_its_pagination() {
    let cursor = "cursor_path_in_response: next }";
    refused(
        cursor,
        "cursor_path_in_response: next, max_offset: 5 }",
        &["paginate.max_offset", "only for type offset"],
    );
    refused(
        cursor,
        "cursor_path_in_response: next, max_pages: 0 }",
        &["max_pages"],
    );
}
