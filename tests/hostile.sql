insert into neural.sessions select * from neural.sessions
update neural.sessions set implant_id = 1
delete from neural.sessions
truncate neural.sessions
merge into neural.sessions s using neural.sessions t on s.session_id = t.session_id when matched then delete
drop table neural.sessions
drop schema neural cascade
drop view neural.channel_quality
create table neural.x (a int)
create table neural.x as select 1
create view neural.x as select 1
create schema x
create database x
create function f() returns int language sql as 'select 1'
create extension x
create role x
create external table x stored as csv location '/etc/passwd'
create unbounded external table x stored as csv location '/etc/passwd'
alter table neural.sessions add column x int
alter role reader superuser
copy neural.sessions to '/tmp/stolen'
copy (select 1) to '/tmp/stolen' stored as csv
copy (select 1) to program 'touch /tmp/stolen'
copy neural.sessions from stdin
copy neural.sessions from '/etc/passwd'
select * into neural.x from neural.sessions
select * from neural.sessions for update
with x as (insert into neural.sessions select * from neural.sessions returning *) select * from x
explain analyze insert into neural.sessions select * from neural.sessions
select * from '/etc/passwd'
select * from "/etc/passwd"
select * from read_csv('/etc/passwd')
select * from read_parquet('/etc/passwd')
select pg_read_file('/etc/passwd')
select lo_import('/etc/passwd')
set datafusion.execution.batch_size = 1
set default_transaction_read_only = off
set session characteristics as transaction read write
begin read write
grant all on neural.sessions to public
revoke all on neural.sessions from public
vacuum
analyze neural.sessions
lock table neural.sessions
do $$ begin end $$
call x()
load 'x'
execute x
prepare x as delete from neural.sessions
