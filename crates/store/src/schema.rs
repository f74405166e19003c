//! The control tables after all migrations.

diesel::table! {
    environments (id) {
        id -> BigInt,
        name -> Text,
        created_at -> BigInt,
    }
}
diesel::table! {
    api_keys (id) {
        id -> Text,
        environment_id -> BigInt,
        name -> Text,
        prefix -> Text,
        hash -> Text,
        scopes -> Text,
        created_at -> BigInt,
        last_used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    vault_keys (key_id) {
        key_id -> Text,
        check_text -> Text,
        created_at -> BigInt,
        retired_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    connections (id) {
        id -> BigInt,
        environment_id -> BigInt,
        integration -> Text,
        name -> Text,
        provider -> Text,
        connection_config -> Text,
        metadata -> Nullable<Text>,
        tags -> Text,
        end_user -> Nullable<Text>,
        problem -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
        last_fetched_at -> Nullable<BigInt>,
        webhook_url_override -> Nullable<Text>,
    }
}
diesel::table! {
    integrations (id) {
        id -> BigInt,
        environment_id -> BigInt,
        key -> Text,
        provider -> Text,
        display_name -> Nullable<Text>,
        forward_webhooks -> Bool,
        config -> Text,
        custom -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        sealed_config -> Nullable<Text>,
        config_key_id -> Nullable<Text>,
    }
}
diesel::table! {
    connect_sessions (id) {
        id -> BigInt,
        environment_id -> BigInt,
        token_hash -> Text,
        connection_id -> Nullable<BigInt>,
        end_user -> Nullable<Text>,
        tags -> Text,
        allowed_integrations -> Nullable<Text>,
        defaults -> Text,
        overrides -> Text,
        webhook_url_override -> Nullable<Text>,
        created_at -> BigInt,
        expires_at -> BigInt,
        connections -> BigInt,
        failures -> BigInt,
        retry_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    actions (number) {
        number -> BigInt,
        id -> Text,
        connection_id -> BigInt,
        name -> Text,
        input -> Nullable<Text>,
        repeatable -> Bool,
        status -> Text,
        attempts -> BigInt,
        max_attempts -> BigInt,
        due_at -> Nullable<BigInt>,
        holder -> Nullable<Text>,
        due_within -> BigInt,
        output -> Nullable<Text>,
        error -> Nullable<Text>,
        idempotency_key -> Nullable<Text>,
        input_hash -> Nullable<Text>,
        created_at -> BigInt,
        started_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    credentials (connection_id) {
        connection_id -> BigInt,
        sealed -> Text,
        key_id -> Text,
        updated_at -> BigInt,
    }
}
diesel::table! {
    syncs (id) {
        id -> BigInt,
        connection_id -> BigInt,
        name -> Text,
        variant -> Text,
        frequency -> Nullable<Text>,
        paused -> Bool,
        checkpoint -> Text,
        problem -> Nullable<Text>,
        created_at -> BigInt,
    }
}
diesel::table! {
    schedule (sync_id) {
        sync_id -> BigInt,
        due_at -> Nullable<BigInt>,
        holder -> Nullable<Text>,
        due_within -> BigInt,
    }
}
diesel::table! {
    runs (number) {
        number -> BigInt,
        id -> Text,
        sync_id -> BigInt,
        status -> Text,
        trigger -> Text,
        kind -> Nullable<Text>,
        created_at -> BigInt,
        started_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        resumed -> BigInt,
        pages -> BigInt,
        added -> BigInt,
        updated -> BigInt,
        deleted -> BigInt,
        unchanged -> BigInt,
        skipped -> BigInt,
        misfits -> Nullable<Text>,
        progress -> Nullable<Double>,
        error_code -> Nullable<Text>,
        error_message -> Nullable<Text>,
        error_hint -> Nullable<Text>,
        incomplete -> Nullable<Text>,
        first_change -> Nullable<BigInt>,
        last_change -> Nullable<BigInt>,
    }
}
diesel::table! {
    slices (id) {
        id -> BigInt,
        sync_id -> BigInt,
        kind -> Text,
        from_at -> Nullable<BigInt>,
        to_at -> Nullable<BigInt>,
        next -> Nullable<Text>,
        pages -> BigInt,
        records -> BigInt,
    }
}
diesel::table! {
    counters (connection_id, model_table) {
        connection_id -> BigInt,
        model_table -> Text,
        last_number -> BigInt,
        live -> BigInt,
        pruned_to -> BigInt,
    }
}
diesel::table! {
    events (number) {
        number -> BigInt,
        id -> Text,
        environment_id -> BigInt,
        position -> Nullable<BigInt>,
        #[sql_name = "type"]
        event_type -> Text,
        connection_id -> Nullable<BigInt>,
        integration -> Nullable<Text>,
        connection_name -> Nullable<Text>,
        url_override -> Nullable<Text>,
        data -> Nullable<Text>,
        created_at -> BigInt,
    }
}
diesel::table! {
    webhook_endpoints (number) {
        number -> BigInt,
        id -> Text,
        environment_id -> BigInt,
        slot -> Nullable<Text>,
        url -> Nullable<Text>,
        description -> Nullable<Text>,
        format -> Text,
        events -> Text,
        integrations -> Nullable<Text>,
        tags -> Text,
        unchanged_runs -> Bool,
        header_names -> Text,
        ordered -> Bool,
        retry_seconds -> Nullable<Text>,
        timeout_seconds -> Nullable<BigInt>,
        rate_per_second -> Nullable<BigInt>,
        concurrency -> Nullable<BigInt>,
        enabled -> Bool,
        disabled_reason -> Nullable<Text>,
        disabled_at -> Nullable<BigInt>,
        failures -> BigInt,
        failing_since -> Nullable<BigInt>,
        paused_until -> Nullable<BigInt>,
        position -> BigInt,
        replay_to -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
        due_at -> Nullable<BigInt>,
        holder -> Nullable<Text>,
        due_within -> BigInt,
    }
}
diesel::table! {
    webhook_secrets (id) {
        id -> BigInt,
        environment_id -> BigInt,
        endpoint -> Nullable<BigInt>,
        kind -> Text,
        sealed -> Text,
        key_id -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        connection_id -> Nullable<BigInt>,
        hash -> Nullable<Text>,
        subscription -> Nullable<BigInt>,
    }
}
diesel::table! {
    connection_values (connection_id, key) {
        connection_id -> BigInt,
        key -> Text,
        value -> Text,
    }
}
diesel::table! {
    webhook_subscriptions (number) {
        number -> BigInt,
        id -> Text,
        connection_id -> BigInt,
        name -> Text,
        input -> Text,
        input_hash -> Text,
        status -> Text,
        steps -> BigInt,
        attempts -> BigInt,
        error -> Nullable<Text>,
        created_at -> BigInt,
        due_at -> Nullable<BigInt>,
        holder -> Nullable<Text>,
        due_within -> BigInt,
    }
}
diesel::table! {
    incoming_events (number) {
        number -> BigInt,
        id -> Text,
        environment_id -> BigInt,
        integration -> Text,
        provider -> Text,
        connection_id -> Nullable<BigInt>,
        connection_name -> Nullable<Text>,
        status -> Text,
        verified -> Bool,
        dedupe_key -> Nullable<Text>,
        nonce -> Nullable<Text>,
        #[sql_name = "type"]
        event_type -> Nullable<Text>,
        method -> Text,
        url -> Text,
        headers -> Text,
        body -> Nullable<Binary>,
        attempts -> BigInt,
        error -> Nullable<Text>,
        received_at -> BigInt,
        processed_at -> Nullable<BigInt>,
        due_at -> Nullable<BigInt>,
        holder -> Nullable<Text>,
        due_within -> BigInt,
    }
}
diesel::table! {
    webhook_deliveries (number) {
        number -> BigInt,
        id -> Text,
        endpoint -> BigInt,
        event -> BigInt,
        connection_id -> Nullable<BigInt>,
        status -> Text,
        attempts -> BigInt,
        tries -> BigInt,
        due_at -> Nullable<BigInt>,
        due_within -> BigInt,
        created_at -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    webhook_attempts (delivery, attempt) {
        delivery -> BigInt,
        attempt -> BigInt,
        at -> BigInt,
        duration_ms -> BigInt,
        status -> Nullable<BigInt>,
        error -> Nullable<Text>,
        response -> Nullable<Text>,
    }
}

diesel::joinable!(events -> environments (environment_id));
diesel::joinable!(webhook_deliveries -> webhook_endpoints (endpoint));
diesel::joinable!(webhook_deliveries -> events (event));
diesel::joinable!(webhook_attempts -> webhook_deliveries (delivery));
diesel::allow_tables_to_appear_in_same_query!(events, environments);
diesel::allow_tables_to_appear_in_same_query!(
    events,
    webhook_attempts,
    webhook_deliveries,
    webhook_endpoints
);
diesel::joinable!(api_keys -> environments (environment_id));
diesel::joinable!(actions -> connections (connection_id));
diesel::joinable!(connect_sessions -> connections (connection_id));
diesel::joinable!(credentials -> connections (connection_id));
diesel::joinable!(syncs -> connections (connection_id));
diesel::joinable!(runs -> syncs (sync_id));
diesel::allow_tables_to_appear_in_same_query!(api_keys, environments);
diesel::allow_tables_to_appear_in_same_query!(connections, connection_values);
diesel::allow_tables_to_appear_in_same_query!(
    actions,
    connect_sessions,
    connections,
    credentials,
    integrations,
    syncs,
    runs,
    webhook_endpoints
);
