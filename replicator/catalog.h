struct catalog;
